/* What the kernel refuses: bad pointers, bad descriptors, bad numbers. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static void check(const char *what, long result) {
    printf("%s: %s\n", what, result < 0 ? strerror(errno) : "done");
}

int main(void) {
    void *nowhere = (void *)0x10, *kernel = (void *)0xffffffffff000000, *noncanonical = (void *)0x8000000000000000;
    int ends[2];
    pipe(ends);
    write(ends[1], "abc", 3);
    check("write from nowhere", write(ends[1], nowhere, 10));
    check("write from the kernel", write(ends[1], kernel, 10));
    check("write from no address", write(ends[1], noncanonical, 10));
    check("read to nowhere", read(ends[0], nowhere, 3));
    char *read_only = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check("read to a read-only page", read(ends[0], read_only, 3));
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(page + 4096, 4096);
    memset(page, 'a', 4096);
    check("name that runs out of memory", open(page + 2048, O_RDONLY));
    check("stat to nowhere", syscall(SYS_fstat, 0, nowhere));
    check("pipe to nowhere", syscall(SYS_pipe, nowhere));
    check("vector at nowhere", writev(1, nowhere, 2));
    check("vector too long", writev(1, (struct iovec *)page, 5000));
    check("uname to the kernel", syscall(SYS_uname, kernel));
    check("sigaction at nowhere", syscall(SYS_rt_sigaction, 10, nowhere, 0, 8));
    check("read of a bad descriptor", read(1000000, page, 1));
    check("read of a writer", read(ends[1], page, 1));
    check("mmap of a bad descriptor", (long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 99, 0));
    check("mmap of an odd offset", (long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 99, 7));
    check("munmap of an odd address", munmap(page + 1, 4096));
    check("seek in a pipe", lseek(ends[0], 0, SEEK_SET));
    check("kill of nobody", syscall(SYS_kill, 99999, 0));
    check("name too long", open(memset(page, 'b', 4095), O_RDONLY));
    check("no such call", syscall(1000));
    check("nor this", syscall(1001, -1, -1, -1, -1, -1, -1));
    return 0;
}
