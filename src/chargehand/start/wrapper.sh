# The wrapper: reads, runs, stops and reports one script on the host.
#
# Sent over stdin as one line (see wrapper.py: comments go, lines are joined), so that neither it nor the nonce
# stands in any argument list. POSIX sh; known to work with dash, bash, busybox, ksh.
# Given by the assignments sent before it: nonce size text sum name grace pty keep interpreter argument, and as "$@"
# the folders to try first. Stdin then brings a script that is not in text, one line with the nonce, and orders: stop,
# settle. A shell reads the line byte by byte, so wrapper.py leaves out what a start does not need. The script's folder
# is the box.

# Linux tells the umask without a fork.
found=
{
  read -r found mask
  read -r found mask
} 2>/dev/null </proc/self/status
[ "$found" = Umask: ] || mask=$(umask)
umask 077
trap : HUP
deaf=
trap 'deaf=yes' PIPE
exec 3<&0 </dev/null

# A record goes to both streams: each is then known to be complete. False when nobody listens any more.
mark() {
  printf '%s %s\n' "$nonce" "$*" && {
    [ "$pty" ] || printf '%s %s\n' "$nonce" "$*" >&2
  } && [ -z "$deaf" ]
}

refuse() {
  [ -z "$box" ] || rm -rf "$box"
  mark REFUSE "$*"
  exit 98
}

# The script if we have it, else as many blanks. A program named printf would show the script in its arguments;
# shells without one of their own have print.
fill() {
  if [ "$text" ]; then
    PATH= printf %b "$text" >"$box/script" || PATH= print -n -- "$text" >"$box/script"
  else
    printf "%${size}s" '' >"$box/script"
  fi
}

# All room is taken before a byte of the script is read, because what was read cannot be asked for again.
claim() {
  mkdir -m 700 "$1" || return 1
  box=$1
  printf '%64s\n' '' >"$box/pid" && : >"$box/why" && fill && return 0
  rm -rf "$box"
  box=
  full="$full ${1%/*}"
  return 1
}

# A folder of this name says that this very script was started, or is being started, by somebody else. Looked for
# before and after ours is made, so that of two who come at once never both start.
fence() {
  for other in "$@"; do
    [ -e "$other" ] || [ -L "$other" ] || continue
    [ "$box" ] && [ "$other" -ef "$box" ] || refuse already-there "$other is there: started before"
  done
}

has() {
  command -v "$1" >/dev/null 2>&1
}

box=
full=
tried=$*
for other in "$@"; do
  shift
  case $other in
    /*) set -- "$@" "$other/.chargehand-$name" ;;
  esac
done
fence "$@"
for other in "$@"; do
  claim "$other" 2>/dev/null && break
done
fence "$@"
if [ -z "$box" ]; then
  [ -z "$full" ] || refuse no-space "no room for $size bytes in$full"
  refuse no-folder "no folder to write to: tried $tried"
fi

# upload: left out when the script is in text
: >"$box/script"
left=$size
while [ "$left" -gt 0 ]; do
  block=$left
  [ "$left" -le 65536 ] || block=65536
  dd bs="$block" count=1 <&3 >>"$box/script" 2<>"$box/why" || refuse no-space "cannot write to $box"
  # It says `1+0` when it found as much as it was to read; only else they are counted.
  read -r found rest <"$box/why"
  now=$((left - block))
  [ "$found" = 1+0 ] || now=$((size - $(wc -c <"$box/script")))
  [ "$now" -lt "$left" ] || refuse upload-cut "$left of $size bytes of the script are missing"
  left=$now
done
IFS= read -r last <&3
[ "$last" = "$nonce" ] || refuse upload-cut "the script arrived with a wrong length"
if [ "$sum" ] && has sha256sum; then
  found=$(sha256sum <"$box/script")
  [ "${found%% *}" = "$sum" ] || refuse upload-cut "the script arrived damaged"
fi
# :upload

has "$interpreter" || refuse interpreter-missing "no program $interpreter on this host"

# The script gets a session of its own, so that it can be stopped with all its children.
set -- "$interpreter" ${argument:+"$argument"} "$box/script"
group=-
if has setsid; then
  set -- setsid "$@"
elif has perl; then
  set -- perl -e 'use POSIX; POSIX::setsid(); exec { $ARGV[0] } @ARGV; exit 127' "$@"
elif has python3; then
  set -- python3 -c 'import os, sys; os.setsid(); os.execvp(sys.argv[1], sys.argv[1:])' "$@"
else
  group=
fi
launch='echo $$ 1<>"$1/pid"; umask "$2"; cd "${HOME:-/}" || cd /; shift 2; exec "$@" </dev/null 2>&4 3<&- 4>&-'

# Waits until nothing runs any more, at most so many tenths of a second; often at first.
await() {
  limit=$1
  step=1
  while lives && [ "$limit" -gt 0 ]; do
    sleep "0.$step" 2>/dev/null || sleep 1
    limit=$((limit - step))
    [ "$limit" -gt $(($1 - 10)) ] || step=5
  done
}

# Whether anything of the script's group or session runs; a zombie nobody has fetched does not run.
lives() {
  if list=$(ps -A -o pgid= -o sid= -o stat= 2>/dev/null) && [ "$group" ]; then
    printf '%s\n' "$list" | (
      while read -r ingroup insession state; do
        case $state in
          Z*) continue ;;
        esac
        [ "$ingroup" != "$pid" ] && [ "$insession" != "$pid" ] || exit 0
      done
      exit 1
    )
  else
    kill -0 "$group$pid" 2>/dev/null
  fi
}

strike() {
  kill "-$1" "$group$pid" || kill "-$1" "$pid"
  [ -z "$group" ] || pkill "-$1" -s "$pid"
}

halt() {
  [ ! -e "$box/exit_code" ] || return 0
  echo "$1" >"$box/stop"
  pid=
  while read -r pid <"$box/pid" && [ -z "$pid" ]; do
    sleep 0.1 || sleep 1
  done
  strike TERM
  await $(($1 * 10))
  strike KILL
}

# Reads orders as long as the connection lives; its end is an order too.
watch() {
  trap '' HUP
  exec >/dev/null 2>&1
  while IFS= read -r order; do
    case $order in
      settle) exit 0 ;;
      stop\ *) halt "${order#stop }" ;;
    esac
  done <&3
  halt "$grace"
  exit 1
}

mark START || {
  rm -rf "$box"
  exit 98
}
watch &
watcher=$!

# In the foreground: a background command of sh ignores INT and QUIT, and so would all its children.
# What the shell says about a signal goes to a file: only that tells `exit 137` from a KILL.
{
  /bin/sh -c "$launch" chargehand "$box" "$mask" "$@"
  status=$?
} 4>&2 2>"$box/why"
echo "$status" >"$box/exit_code"
read -r why <"$box/why"
halted=-
if [ -e "$box/stop" ]; then
  read -r pid <"$box/pid"
  read -r seconds <"$box/stop"
  await $((seconds * 10 + 30))
  halted=gone
  if lives; then
    halted=alive
  fi
fi
# Until our side has recorded the result, the folder is the only evidence of it; where nobody will ask, it goes.
mark END "$status $halted $why" || [ -z "$keep" ] || exit 98
wait "$watcher" || [ -z "$keep" ] || exit 0
rm -rf "$box"
printf '%s GONE\n' "$nonce"

# forgotten: left out by fifteen starts of sixteen, for it takes a list of the folder and two programs
exec >/dev/null 2>&1
set -- "${box%-*}"-*
[ ! -d "$1" ] || find "$@" -prune -type d -user "$(id -u)" -mtime +7 -exec rm -rf {} +
