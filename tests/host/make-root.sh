#!/bin/sh
# Makes a small Debian system with a real GIMP 3, and with the programs that drive its dialogs on a virtual screen.
#
#   make-root.sh DEST [SUITE]
#
# SUITE: trixie (default) has GIMP 3.0, forky has GIMP 3.2. Takes about 700 MB. A DEST made by this script is kept if it
# has the packages that it would get today; otherwise it is made anew.
# MIRROR and SECURITY_MIRROR name Debian archives to use in place of those of this machine's apt.
#
# Needs root on a Debian machine. Nothing stays mounted in DEST, so `rm -rf DEST` removes it. in-root.sh runs commands
# in it.
set -eu

say() { echo "make-root: $*" >&2; }
die() { say "$*"; exit 2; }

[ $# -ge 1 ] || die "usage: make-root.sh DEST [SUITE]"
[ "$(id -u)" = 0 ] || die "needs root"
command -v apt-get >/dev/null || die "needs a Debian machine: there is no apt-get here"
dest=$1 suite=${2:-trixie}
gimp=gimp,python3-gi-cairo,python3-venv,ca-certificates
display=xvfb,openbox,xdotool,x11-utils,scrot,fonts-dejavu-core,adwaita-icon-theme
packages=$gimp,$display
if [ -e "$dest" ]; then
  [ -x "$dest/usr/bin/gimp-console" ] || die "$dest exists and is not such a system"
  if chroot "$dest" dpkg-query --show $(echo "$packages" | tr , ' ') >/dev/null 2>&1; then
    say "$dest already exists"
    exit 0
  fi
  say "$dest lacks packages of $packages and is made anew"
  ! grep -q " $(realpath "$dest")/" /proc/mounts || die "$dest is in use: something is mounted in it"
  rm -rf --one-file-system "$dest"
fi

if ! command -v mmdebstrap >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends mmdebstrap debian-archive-keyring >&2
fi

# mirror LABEL: print the archive with this label in this machine's own apt configuration.
mirror() {
  apt-get indextargets --format '$(LABEL) $(REPO_URI)' "Label: $1" | sort -u | head -n 1 | cut -d ' ' -f 2
}
[ -n "${MIRROR:=$(mirror Debian)}" ] || { apt-get update -qq; MIRROR=$(mirror Debian); }
[ -n "$MIRROR" ] || die "this machine's apt knows no Debian archive: set MIRROR=URL"
: "${SECURITY_MIRROR=$(mirror Debian-Security)}"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch" "$dest.partial"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The new system uses the proxies, retries and date checks of this machine's apt.
apt-config dump | grep -E '^Acquire::(https?|Retries|Check-)[^ ]* "[^"]+"' > "$scratch/apt.conf" || true
echo "deb $MIRROR $suite main" > "$scratch/sources.list"
if [ "$suite" = trixie ] && [ -n "$SECURITY_MIRROR" ]; then
  echo "deb $SECURITY_MIRROR $suite-security main" >> "$scratch/sources.list"
fi

mkdir -p "$(dirname "$dest")"
mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" \
  --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
  --aptopt="$scratch/apt.conf" \
  --aptopt='Acquire::Languages "none"' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-include=/usr/share/locale/locale.alias' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --dpkgopt='force-unsafe-io' \
  "$suite" "$dest.partial" "$scratch/sources.list" >&2
mv "$dest.partial" "$dest"
say "$dest: $(chroot "$dest" gimp-console --version), $(du -sm "$dest" | cut -f 1) MB"
