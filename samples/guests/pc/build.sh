#!/bin/sh
# Builds the multiboot guests. The same compiler and linker give the same bytes, wherever the output goes.
# usage: build.sh [output directory [guest...]]     (default: all, beside the sources)
set -eu
LC_ALL=C
export LC_ALL

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:-$here}"
out=$(cd "${1:-$here}" && pwd)
[ $# -eq 0 ] || shift
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
cd "$here"

guests64="paging walks walks57 smap umip idt debug syscall msr xsave fpu apic x2apic lines timers smp shootdown testdev"
guests32="segments paging32 walks32 tasks realmode"
compile="-std=gnu11 -Os -mno-red-zone -mgeneral-regs-only -ffreestanding -fno-pic -fno-pie -fno-stack-protector -fcf-protection=none
    -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-strict-aliasing -fno-delete-null-pointer-checks -ffunction-sections -fdata-sections
    -ffile-prefix-map=$here=. -frandom-seed=quadwalk -g0 -Wall -Wextra -Wno-array-bounds -Wno-sign-compare -Werror"

# shellcheck disable=SC2086
object() {
    gcc -m$1 $compile -c -o "$objects/${2%.*}-$1.o" "$2"
}

# shellcheck disable=SC2086
image() {
    bits=$1 name=$2 base=$3
    for source in "$name".[cS] "$name"_*.[cS]; do
        [ ! -f "$source" ] || object "$bits" "$source"
    done
    ld -m "$([ "$bits" = 64 ] && echo elf_x86_64 || echo elf_i386)" -static -n --gc-sections --build-id=none -z noexecstack \
        --no-warn-rwx-segments --defsym=BASE="$base" -T link.ld -o "$objects/image" "$objects/$name"*-"$bits".o \
        --start-group $library --end-group
    objcopy -O elf32-i386 --strip-all "$objects/image" "$out/$name.elf"
    chmod 644 "$out/$name.elf"
    rm "$objects/$name"*-"$bits".o
}

mkdir "$objects/library"
built=$objects
objects=$built/library
for source in start.S traps.S pc.c; do
    object 32 "$source"
    object 64 "$source"
done
for source in pages.c user.S interrupts.c trampoline.S; do
    object 64 "$source"
done
objects=$built
wanted=" ${*:-$guests64 $guests32} "

library=$(echo "$objects"/library/*-64.o)
for name in $guests64; do
    case "$wanted" in *" $name "*) image 64 "$name" 0x100000 ;; esac
done

library=$(echo "$objects"/library/*-32.o)
for name in $guests32; do
    base=0x100000
    [ "$name" != realmode ] || base=0x8000
    case "$wanted" in *" $name "*) image 32 "$name" "$base" ;; esac
done
