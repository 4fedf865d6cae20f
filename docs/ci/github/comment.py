"""Keep one comment of a pull request up to date: the one whose first line is that of a Markdown file.

Called as ``comment.py FILE``. All else is in the environment: ``GITHUB_API_URL``, ``GITHUB_REPOSITORY``,
``PULL_REQUEST`` (its number), ``AUTHOR`` (whose comments may be changed) and ``TOKEN``, which is in no
argument and no message. A token that may not write, as in a pull request from a fork, is no error.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

PAGE = 100
FORBIDDEN = (403, 404)


def ask(method: str, path: str, body: object = None) -> object:
    """The answer of GitHub's API."""
    request = urllib.request.Request(  # noqa: S310 - the runner says where the API is
        f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/issues{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {os.environ['TOKEN']}",
            "Content-Type": "application/json",
            "X-GitHub-Api-Version": "2022-11-28",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


def find(number: int, marker: str) -> int | None:
    """The id of the author's comment that begins with a line; somebody else's may say anything later."""
    page = 1
    while True:
        comments = ask("GET", f"/{number}/comments?per_page={PAGE}&page={page}")
        for comment in comments:
            own = comment["user"] is not None and comment["user"]["login"] == os.environ["AUTHOR"]
            if own and comment["body"].startswith(marker):
                return comment["id"]
        if len(comments) < PAGE:
            return None
        page += 1


def main() -> None:
    """Change the comment, or write the first."""
    body = Path(sys.argv[1]).read_text(encoding="utf-8")
    number = int(os.environ["PULL_REQUEST"])
    try:
        known = find(number, body.partition("\n")[0])
        if known is None:
            ask("POST", f"/{number}/comments", {"body": body})
        else:
            ask("PATCH", f"/comments/{known}", {"body": body})
    except urllib.error.HTTPError as error:
        if error.code not in FORBIDDEN:
            raise
        print("::notice::the token may not comment here: the plan is in the summary of this run")  # noqa: T201


if __name__ == "__main__":
    main()
