# The wrapper: reads, runs, stops and reports one script on the host.
#
# Sent over stdin as one line (see wrapper.py: comments go, lines are joined), so that neither it nor the nonce
# stands in any argument list. POSIX sh; known to work with dash, bash, busybox, ksh.
# Given by the assignments sent before it: nonce size text sum name grace pty keep interpreter argument locale, and
# as "$@" the folders to try first. Stdin then brings the script, unless it is in text; one line with the nonce; and
# orders: stop, settle.

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

# The switching program ran with LC_ALL=C so that its texts can be read; the script gets what the login had.
if [ "$become" ] && [ "${LC_ALL-}" = C ]; then
  LC_ALL=$locale
  [ "$locale" ] || unset LC_ALL
fi

# A record goes to both streams: each is then known to be complete. False when nobody listens any more.
mark() {
  printf '%s %s\n' "$nonce" "$*" && {
    [ "$pty" ] || printf '%s %s\n' "$nonce" "$*" >&2
  } && [ -z "$deaf" ]
}

refuse() {
  [ -z "$folder" ] || rm -rf "$folder"
  mark REFUSE "$*"
  exit 98
}

# The script if we have it, else as many blanks. A program named printf would show the script in its arguments;
# shells without one of their own have print.
fill() {
  if [ "$text" ]; then
    PATH= printf %b "$text" >"$folder/script" || PATH= print -n -- "$text" >"$folder/script"
  else
    printf "%${size}s" '' >"$folder/script"
  fi
}

# All room is taken before a byte of the script is read, because what was read cannot be asked for again.
claim() {
  folder=
  case $1 in
    /*) ;;
    *) return 1 ;;
  esac
  mkdir -m 700 "$1/.chargehand-$name" || return 1
  folder=$1/.chargehand-$name
  printf '%64s\n' '' >"$folder/pid" && : >"$folder/why" && fill && return 0
  rm -rf "$folder"
  folder=
  full="$full $1"
  return 1
}

# A folder of this name says that this very script was started, or is being started, by somebody else. Looked for
# before and after ours is made, so that of two who come at once never both start.
fence() {
  for other in "$@"; do
    case $other in
      /*) other=$other/.chargehand-$name ;;
      *) continue ;;
    esac
    [ -e "$other" ] || [ -L "$other" ] || continue
    [ "$folder" ] && [ "$other" -ef "$folder" ] || refuse already-there "$other is there: started before"
  done
}

full=
folder=
fence "$@"
for parent in "$@"; do
  claim "$parent" 2>/dev/null && break
done
fence "$@"
if [ -z "$folder" ]; then
  [ -z "$full" ] || refuse no-space "no room for $size bytes in$full"
  refuse no-folder "no folder to write to: tried $*"
fi

left=0
[ "$text" ] || {
  left=$size
  : >"$folder/script"
}
while [ "$left" -gt 0 ]; do
  block=$left
  [ "$left" -le 65536 ] || block=65536
  dd bs="$block" count=1 <&3 >>"$folder/script" 2>"$folder/why" || refuse no-space "cannot write to $folder"
  # It says `1+0` when it found as much as it was to read; only else they are counted.
  read -r found rest <"$folder/why"
  now=$((left - block))
  [ "$found" = 1+0 ] || now=$((size - $(wc -c <"$folder/script")))
  [ "$now" -lt "$left" ] || refuse upload-cut "$left of $size bytes of the script are missing"
  left=$now
done
IFS= read -r last <&3
[ "$last" = "$nonce" ] || refuse upload-cut "the script arrived with a wrong length"
if [ "$sum" ] && command -v sha256sum >/dev/null 2>&1; then
  found=$(sha256sum <"$folder/script")
  [ "${found%% *}" = "$sum" ] || refuse upload-cut "the script arrived damaged"
fi
command -v "$interpreter" >/dev/null 2>&1 || refuse interpreter-missing "no program $interpreter on this host"

# The script gets a session of its own, so that it can be stopped with all its children.
set -- "$interpreter" ${argument:+"$argument"} "$folder/script"
group=-
if command -v setsid >/dev/null 2>&1; then
  set -- setsid "$@"
elif command -v perl >/dev/null 2>&1; then
  set -- perl -e 'use POSIX; POSIX::setsid(); exec { $ARGV[0] } @ARGV; exit 127' "$@"
elif command -v python3 >/dev/null 2>&1; then
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
  [ ! -e "$folder/exit_code" ] || return 0
  echo "$1" >"$folder/stop"
  pid=
  while read -r pid <"$folder/pid" && [ -z "$pid" ]; do
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
  rm -rf "$folder"
  exit 98
}
watch &
watcher=$!

# In the foreground: a background command of sh ignores INT and QUIT, and so would all its children.
# What the shell says about a signal goes to a file: only that tells `exit 137` from a KILL.
{
  /bin/sh -c "$launch" chargehand "$folder" "$mask" "$@"
  status=$?
} 4>&2 2>"$folder/why"
echo "$status" >"$folder/exit_code"
read -r why <"$folder/why"
halted=-
if [ -e "$folder/stop" ]; then
  read -r pid <"$folder/pid"
  read -r seconds <"$folder/stop"
  await $((seconds * 10 + 30))
  halted=gone
  if lives; then
    halted=alive
  fi
fi
# Until our side has recorded the result, the folder is the only evidence of it; where nobody will ask, it goes.
mark END "$status $halted $why" || [ -z "$keep" ] || exit 98
wait "$watcher" || [ -z "$keep" ] || exit 0
rm -rf "$folder"
printf '%s GONE\n' "$nonce"
exec >/dev/null 2>&1
set -- "$parent"/.chargehand-*
[ ! -d "$1" ] || find "$@" -prune -type d -user "$(id -u)" -mtime +7 -exec rm -rf {} +
