#!/bin/sh
# Runs a command inside a system made by make-root.sh.
#
#   in-root.sh ROOT WORKDIR COMMAND [ARGUMENT...]
#
# Inside, WORKDIR is /wd, which is the current folder, and HOME is /wd/home. Only pip's settings and the proxies are
# passed on from the environment; set more variables with env: in-root.sh ROOT WORKDIR env A=b COMMAND. pip works as it
# does outside: it sees this machine's certificates, its configuration, and the local folders named there.
#
# BIND="SRC[:DST] ..." shows more files or folders inside, read-only. DST is SRC by default; no spaces or colons.
#
# Needs root. The mounts are in a namespace of their own and end with the command, whose exit status is returned.
set -eu

die() { echo "in-root: $*" >&2; exit 2; }

if [ -z "${IN_ROOT_NAMESPACE:-}" ]; then
  [ $# -ge 3 ] || die "usage: in-root.sh ROOT WORKDIR COMMAND [ARGUMENT...]"
  [ "$(id -u)" = 0 ] || die "needs root"
  [ -x "$1/usr/bin/env" ] || die "$1 is not a system made by make-root.sh"
  IN_ROOT_NAMESPACE=1 exec unshare --mount --propagation private sh "$0" "$@"
fi

root=$(realpath "$1") work=$2
shift 2

# show SRC DST: make this machine's SRC appear inside as DST, read-only.
show() {
  [ -e "$1" ] || die "$1 does not exist, so it cannot be mounted"
  if [ -d "$1" ]; then
    mkdir -p "$root$2"
  elif [ ! -e "$root$2" ]; then
    mkdir -p "$(dirname "$root$2")"
    : > "$root$2"
  fi
  mount --bind "$1" "$root$2"
  mount -o remount,bind,ro "$root$2"
}

mkdir -p "$work/home" "$root/wd"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount --bind "$work" "$root/wd"
for file in /etc/resolv.conf /etc/hosts; do
  [ ! -L "$root$file" ] || rm "$root$file" # an absolute link would point out of the root
  [ ! -e "$file" ] || show "$file" "$file"
done

# The system's and the user's pip configuration, in the two places where pip looks for a system's.
: "${HOME:=/root}"
system=/etc/pip.conf user=${PIP_CONFIG_FILE:-${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf}
[ -e "$user" ] || user=$HOME/.pip/pip.conf
[ ! -f "$system" ] || show "$system" /etc/xdg/pip/pip.conf
[ ! -f "$user" ] || show "$user" /etc/pip.conf
settings=$(cat "$system" "$user" 2>/dev/null || true)
# Local wheel folders and indexes; an index links to files beside its folder "simple".
places=$(echo "$settings" | awk '/^[^ \t]/ { on = /^(find-links|(extra-)?index-url)/ } on')
for word in $places ${PIP_FIND_LINKS:-} ${PIP_INDEX_URL:-} ${PIP_EXTRA_INDEX_URL:-}; do
  word=${word#file://} word=${word%/}
  case $word in
    /*) [ ! -d "${word%/simple}" ] || show "${word%/simple}" "${word%/simple}" ;;
  esac
done
outer_ca=${PIP_CERT:-$(echo "$settings" | sed -n 's/^cert *[=:] *//p' | tail -n 1)}
inner_ca=/etc/ssl/certs/ca-certificates.crt
outer_ca=${outer_ca:-${SSL_CERT_FILE:-$inner_ca}}
[ ! -f "$outer_ca" ] || show "$outer_ca" "$inner_ca"

for spec in ${BIND:-}; do
  case $spec in
    *:*) show "$(realpath "${spec%%:*}")" "${spec#*:}" ;;
    *) show "$(realpath "$spec")" "$(realpath "$spec")" ;;
  esac
done

for name in $(env | sed -n -E 's/^((PIP_[A-Z_]+|(https?|all|no)_proxy|(HTTPS?|ALL|NO)_PROXY))=.*/\1/p'); do
  case $name in
    PIP_CERT | PIP_CONFIG_FILE | PIP_CACHE_DIR | PIP_LOG) ;;
    *) eval "set -- \"$name=\$$name\" \"\$@\"" ;;
  esac
done
exec chroot "$root" /usr/bin/env -i -C /wd \
  HOME=/wd/home PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TERM=dumb \
  SSL_CERT_FILE=$inner_ca PIP_CERT=$inner_ca REQUESTS_CA_BUNDLE=$inner_ca "$@"
