# shellcheck shell=bash
# Clean Debian systems as tar files, and how to enter those of another architecture. For check-deb.

readonly ROOTS="${XDG_CACHE_HOME:-$HOME/.cache}/edgefit/roots"
readonly QEMU="$ROOTS/qemu-aarch64"
# An ELF file of AArch64, in the words of binfmt_misc.
readonly AARCH64_MAGIC='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
readonly AARCH64_MASK='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'

# clean_root SUITE ARCHITECTURE [systemd]: prints the tar file of a minimal system.
clean_root() {
  local tar="$ROOTS/$1-$2${3:+-$3}.tar" packages=()
  if [[ ! -e "$tar" ]]; then
    mkdir -p "$ROOTS"
    # systemd has to run as PID 1, and the daemon wants a broker.
    if [[ "${3:-}" == systemd ]]; then packages=('--include=systemd,systemd-sysv,dbus,mosquitto'); fi
    # force-unsafe-io: nobody minds a broken system here.
    in_namespace "$2" / mmdebstrap --mode=root --variant=minbase --architectures="$2" \
      --skip=check/qemu --dpkgopt=force-unsafe-io "${packages[@]}" \
      "$1" "$tar.part" "$(mirror)" >&2 || return 1
    mv "$tar.part" "$tar"
  fi
  echo "$tar"
}

# The mirror that this machine's apt uses.
mirror() {
  # shellcheck disable=SC2016 # apt's own variables
  apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Identifier: Packages' |
    sed -n 's/^Debian Debian //p' | sed 1q
}

# in_namespace ARCHITECTURE ROOT COMMAND...: with a mount and process namespace of its own, /proc, /sys
# and the harmless devices in ROOT, and for arm64 with qemu behind every program.
in_namespace() {
  local architecture="$1" root="$2"
  shift 2
  if [[ "$architecture" == "$(dpkg --print-architecture)" ]]; then
    unshare --mount --pid --fork --kill-child bash -c "$ENTER" enter "$root" '' "$@"
  else
    fetch_qemu >&2 || return 1
    local rule=":qemu-aarch64:M::$AARCH64_MAGIC:$AARCH64_MASK:$QEMU:F"
    mapped unshare --user --mount --pid --fork --kill-child bash -c "$ENTER" enter "$root" "$rule" "$@"
  fi
}

# A user namespace may have a binfmt_misc of its own (Linux 6.7).
# shellcheck disable=SC2016 # runs in the namespace
readonly ENTER='
  root="$1" rule="$2"
  shift 2
  if [[ -n "$rule" ]]; then
    read -r _ <"$MAPPED"
    mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || exit 1
    printf %s "$rule" >/proc/sys/fs/binfmt_misc/register
  fi
  if [[ "$root" != / ]]; then
    mkdir -p "$root/proc" "$root/dev"
    for device in null zero full random urandom; do
      : >"$root/dev/$device"
      mount --bind "/dev/$device" "$root/dev/$device"
    done
    mount --bind "$root/debs" "$root/debs"
    mount -t proc proc "$root/proc"
  else
    mount -t proc proc /proc
  fi
  exec "$@"'

# mapped unshare ...: maps every user to itself, which unshare alone cannot without newuidmap.
mapped() {
  local folder parent child='' status=0
  folder="$(mktemp -d)"
  mkfifo "$folder/mapped"
  MAPPED="$folder/mapped" "$@" &
  parent=$!
  while [[ -z "$child" ]]; do
    kill -0 "$parent" || return 1
    sleep 0.1
    child="$(tr -d ' ' <"/proc/$parent/task/$parent/children")"
  done
  echo '0 0 65536' >"/proc/$child/uid_map"
  echo '0 0 65536' >"/proc/$child/gid_map"
  echo >"$folder/mapped"
  wait "$parent" || status=$?
  rm -r "$folder"
  return "$status"
}

# qemu-user 10 of trixie: the one in bookworm crashes onnxruntime.
fetch_qemu() {
  if [[ -x "$QEMU" ]]; then return; fi
  local folder
  folder="$(mktemp -d)"
  mmdebstrap --mode=root --variant=extract --include=qemu-user trixie "$folder/root" "$(mirror)" || return 1
  mkdir -p "$ROOTS"
  cp "$folder/root/usr/bin/qemu-aarch64" "$QEMU"
  rm -rf "$folder"
}
