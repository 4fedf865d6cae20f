# Evidence: what this host keeps of one script, told in one line that begins with its token.
#
# Runs as a script of its own, as the same user. Given by the assignments before it: name, patience in tenths of a
# second, and as "$@" the folders that the wrapper tried. Its rules of what lives are those of wrapper.sh.

exec 2>/dev/null

tell() {
  printf 'evidence %s %s\n' "$name" "$*"
  exit 0
}

# Seconds since this host, or the container that it is, was started.
age() {
  if read -r up rest </proc/uptime; then
    up=${up%%.*}
    if read -r first </proc/1/stat; then
      set -- ${first##*\) }
      ticks=$(getconf CLK_TCK) || ticks=100
      up=$((up - ${20} / ticks))
    fi
  elif boot=$(sysctl -n kern.boottime); then
    boot=${boot#*sec = }
    up=$(($(date +%s) - ${boot%%[!0-9]*}))
  fi
  echo "${up:--}"
}

# Only what the user made itself is evidence.
look() {
  for parent in "$@"; do
    case $parent in
      /*) folder=$(find "$parent/.chargehand-$name" -prune -type d -user "$(id -u)") ;;
      *) continue ;;
    esac
    [ -z "$folder" ] || return 0
  done
  folder=
}

group=-
command -v setsid >/dev/null || command -v perl >/dev/null || command -v python3 >/dev/null || group=

lives() {
  if list=$(ps -A -o pgid= -o sid= -o stat=) && [ "$group" ]; then
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
    kill -0 "$group$pid"
  fi
}

rest() {
  if sleep 0.2; then
    patience=$((patience - 2))
  else
    sleep 1
    patience=$((patience - 10))
  fi
}

up=$(age)
while :; do
  look "$@"
  [ "$folder" ] || tell absent "$up"
  pid=
  status=
  read -r pid <"$folder/pid"
  read -r status <"$folder/exit_code"
  if [ "$status" ] && [ ! -e "$folder/stop" ]; then
    read -r why <"$folder/why"
    tell ended "$up" "$status" - "$why"
  fi
  if [ "$pid" ] && lives; then
    found=alive
  elif [ "$status" ]; then
    read -r why <"$folder/why"
    tell ended "$up" "$status" gone "$why"
  else
    found=dead
  fi
  # A wrapper that lost its runner may still stop the script, or be about to say how it ended.
  [ "$patience" -gt 0 ] || break
  rest
done
[ -z "$status" ] || tell ended "$up" "$status" alive
tell "$found" "$up" "${pid:--}"
