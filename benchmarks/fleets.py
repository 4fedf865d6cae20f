"""Projects with many hosts or many jobs, written for benchmarks."""

import json
from collections.abc import Iterator
from pathlib import Path

SITES = ("berlin", "london", "tokyo", "austin")
ROLES = ("web", "db", "cache", "queue", "build")
SCRIPTS = (
    "systemctl reload {{ input('service') | quote }}",
    "echo {{ inventory_hostname | quote }} {{ input('service') | quote }}",
    "echo {{ rack }}\n{% if 'web' in group_names %}nginx -t{% else %}true{% endif %}",
    "logger -t {{ input('service') | quote }} {{ host.facts.distribution | quote }}",
)
QUERIES = (
    "*", "hostgroup = {role}", "hostgroup = {role} and location = {site}", "params.rack = r{number}",
    "facts.distribution = Debian and os_major >= 12", "name ~ {role}0*", "not hostgroup ^ (db, cache)",
    "{role}0", "has params.owner and reported.ram > 4000",
)  # fmt: skip


def name(number: int) -> str:
    """Of a host."""
    return f"{ROLES[number % 5]}{number:06}.{SITES[number % 4]}.example.com"


def variables(number: int) -> dict[str, object]:
    """Of a host, as its line or its mapping in the inventory has them."""
    return {
        "ansible_host": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        "rack": f"r{number % 97}",
        "owner": "ops" if number % 3 else "dev",
    }


def facts(number: int) -> dict[str, object]:
    """Of a host, as gathered once."""
    address, mac = variables(number)["ansible_host"], f"52:54:00:00:{number % 97:02}:01"
    return {
        "distribution": "Debian" if number % 2 else "Rocky",
        "distribution_major_version": str(11 + number % 3),
        "memtotal_mb": 2000 + number % 7 * 1000,
        "default_ipv4": {"address": address, "macaddress": mac},
    }


def write_ini(root: Path, hosts: int, *, host_files: int) -> None:
    """An INI inventory: every host in a group of its role and one of its site, facts in line."""
    lines = []
    for role in range(5):
        lines.append(f"[{ROLES[role]}]")
        for number in range(role, hosts, 5):
            words = " ".join(f"{key}={value}" for key, value in variables(number).items())
            lines.append(f"{name(number)} {words} facts='{json.dumps(facts(number))}'")
    for site in range(4):
        lines.append(f"[{SITES[site]}]")
        lines += [name(number) for number in range(site, hosts, 4)]
    lines += ["[europe:children]", "berlin", "london", "[all:vars]", "ntp=pool.example.com"]
    _write(root / "inventory" / "hosts.ini", "\n".join(lines))
    _write_vars(root, host_files)


def write_yaml(root: Path, hosts: int, *, host_files: int) -> None:
    """The same fleet as a YAML inventory."""
    lines = ["all:", "  vars: {ntp: pool.example.com}", "  children:"]
    for role in range(5):
        lines += [f"    {ROLES[role]}:", "      hosts:"]
        for number in range(role, hosts, 5):
            lines.append(f"        {name(number)}:")
            lines += [f"          {key}: {value}" for key, value in variables(number).items()]
            lines.append(f"          facts: {json.dumps(facts(number))}")
    lines += ["    europe:", "      children:"]
    for site in range(4):
        indent = "        " if site < 2 else "    "
        lines += [f"{indent}{SITES[site]}:", f"{indent}  hosts:"]
        lines += [f"{indent}    {name(number)}:" for number in range(site, hosts, 4)]
    _write(root / "inventory" / "hosts.yml", "\n".join(lines))
    _write_vars(root, host_files)


def write_ranges(root: Path, hosts: int, *, host_files: int) -> None:
    """A fleet of the same size in INI whose hosts are written as ranges, a hundred by a line."""
    lines = []
    for number in range(0, hosts, 100):
        role, site = ROLES[number // 100 % 5], SITES[number // 100 % 4]
        span = f"{number:06}:{min(number + 99, hosts - 1):06}"
        lines += [
            f"[{role}_{number // 100}]",
            f"{role}[{span}].{site}.example.com rack=r{number // 100 % 97}",
        ]
    for index, role in enumerate(ROLES):
        lines += [f"[{role}:children]", *(f"{role}_{part}" for part in range(index, -(-hosts // 100), 5))]
    for index, site in enumerate(SITES):
        lines.append(f"[{site}:children]")
        lines += [f"{ROLES[part % 5]}_{part}" for part in range(index, -(-hosts // 100), 4)]
    lines += ["[all:vars]", "ntp=pool.example.com"]
    _write(root / "inventory" / "hosts.ini", "\n".join(lines))
    _write_vars(root, 0)
    for number in range(host_files):
        part = number // 100
        _write_host_vars(root, f"{ROLES[part % 5]}{number:06}.{SITES[part % 4]}.example.com", number)


def _write_host_vars(root: Path, host: str, number: int) -> None:
    _write(
        root / "inventory" / "host_vars" / f"{host}.yml",
        f"asset: SN{number}\nbackup:\n  window: '02:30'\n  days: [1, 4]\nweight: {number % 9}\n",
    )


def _write_vars(root: Path, host_files: int) -> None:
    for role in ROLES:
        _write(
            root / "inventory" / "group_vars" / f"{role}.yml",
            f"service: {role}d\nansible_user: {role}\nports: [80, 443]\nlimits:\n  open_files: 4096\n",
        )
    for site in SITES:
        _write(root / "inventory" / "group_vars" / site / "main.yml", f"location: {site}\ndns: ns.{site}\n")
    for number in range(host_files):
        _write_host_vars(root, name(number), number)


def write_jobs(root: Path, jobs: int) -> None:
    """Job files of a repository that grew: few scripts and templates, many queries and inputs."""
    for number in range(jobs):
        query = QUERIES[number % len(QUERIES)].format(
            role=ROLES[number % 5], site=SITES[number % 4], number=number % 97
        )
        _write(root / "playbooks" / f"job{number:04}.yml", "\n".join(_job(number, query)))


def write_unlike_job(root: Path) -> None:
    """A job whose script is another one on every host."""
    body = "echo {{ inventory_hostname | quote }} {{ host.facts.default_ipv4.address }} {{ rack }}"
    _write(
        root / "playbooks" / "unlike.yml",
        f"script: {json.dumps(body)}\njob_invocation: {{targeting_type: static_query, search_query: '*'}}",
    )


def _job(number: int, query: str) -> Iterator[str]:
    yield f"name: Job {number}"
    if number % 2:
        script = SCRIPTS[number // 2 % len(SCRIPTS)].replace("\n", "\n  ")
        yield f"script: |\n  {script}"
        if "input(" in script:
            yield "template_inputs:\n  - {name: service, required: true}"
    yield "job_invocation:"
    if not number % 2:
        yield "  job_template_id: Service Action"
    yield "  targeting_type: dynamic_query"
    yield f"  search_query: {json.dumps(query)}"
    if not number % 2:
        yield f"  inputs: {{action: restart, service: unit{number}}}"
    elif "input(" in SCRIPTS[number // 2 % len(SCRIPTS)]:
        yield f"  inputs: {{service: unit{number}}}"
    yield "  concurrency_control: {concurrency_level: 20}"
    if not number % 4:
        yield f'  recurrence: {{cron_line: "{number % 60} 3 * * *", purpose: job {number}}}'
        yield "time_zone: Etc/UTC"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
