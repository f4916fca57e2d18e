#!/bin/sh
# Builds every guest with gcc. The same compiler and linker give the same bytes, wherever the output goes.
# usage: build.sh [output directory]     (default: beside the sources)
set -eu
LC_ALL=C
export LC_ALL

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:-$here}"
out=$(cd "${1:-$here}" && pwd)
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
cd "$here"

compile="-std=gnu11 -O2 -m64 -march=x86-64 -mtune=generic -mno-red-zone -ffreestanding -fno-pic -fno-pie
    -fno-stack-protector -fno-stack-clash-protection -fcf-protection=none -fno-asynchronous-unwind-tables
    -fno-unwind-tables -fno-tree-loop-distribute-patterns -fno-strict-aliasing -ffp-contract=off
    -ffunction-sections -fdata-sections -ffile-prefix-map=$here=. -frandom-seed=quadwalk -g0 -Wall -Wextra -Werror"
link="-static -nostdlib -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,separate-code
    -Wl,-z,noexecstack -Wl,--gc-sections -Wl,--orphan-handling=place"

# shellcheck disable=SC2086
image() {
    name=$1
    shift
    gcc $link -o "$objects/$name.elf" "$@"
    objcopy --remove-section=.comment --remove-section=.note.gnu.property "$objects/$name.elf" "$out/$name.elf"
    chmod 644 "$out/$name.elf"
}

# shellcheck disable=SC2086
object() {
    name=$1
    source=$2
    shift 2
    gcc $compile "$@" -c -o "$objects/$name.o" "$source"
}

object runtime runtime.c
for name in hello primes sha256 nbody quicksort pager ring3 uart fault_storm mmio_storm mandel80; do
    object $name $name.c
    image $name "$objects/$name.o" "$objects/runtime.o"
done

for name in blend matmul; do
    object $name $name.c -mavx2 -mfma -mpopcnt
    image $name "$objects/$name.o" "$objects/runtime.o"
done

for name in triple exit; do
    object $name $name.S
    image $name "$objects/$name.o"
done

object flat flat.S
gcc -static -nostdlib -no-pie -Wl,--build-id=none -Wl,-Ttext=0x100000 -o "$objects/flat.elf" "$objects/flat.o"
objcopy -O binary --only-section=.text "$objects/flat.elf" "$out/flat.bin"
chmod 644 "$out/flat.bin"

{
    gcc --version | head -n 1
    ld --version | head -n 1
} > "$out/gcc-version.txt"
