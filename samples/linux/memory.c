/* The heap, and mappings: made, protected, grown, moved, discarded and shared. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int less(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void heap(void) {
    enum { count = 20000 };
    uint32_t *numbers = malloc(count * sizeof *numbers), state = 1;
    for (int i = 0; i < count; i++) {
        state = state * 1103515245 + 12345;
        numbers[i] = state >> 8;
    }
    qsort(numbers, count, sizeof *numbers, less);
    int sorted = 1;
    for (int i = 1; i < count; i++) {
        sorted &= numbers[i - 1] <= numbers[i];
    }
    printf("sorted %d, from %u to %u\n", sorted, numbers[0], numbers[count - 1]);
    free(numbers);

    char *big = malloc(1 << 20);
    memset(big, 'a', 1 << 20);
    big = realloc(big, 9 << 20);
    printf("realloc kept %c and %c\n", big[0], big[(1 << 20) - 1]);
    free(big);
    void *blocks[500];
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 500; i++) {
            blocks[i] = malloc((i * 37 + round * 11) % 3000 + 1);
        }
        for (int i = 0; i < 500; i++) {
            free(blocks[(i * 7) % 500]);
        }
    }
    long end = syscall(SYS_brk, 0);
    printf("brk moves by %ld\n", syscall(SYS_brk, end + 12345) - end);
    memset((void *)end, 1, 12345);
    printf("and back by %ld\n", end + 12345 - syscall(SYS_brk, end));
    printf("too much is %s\n", malloc((size_t)1 << 46) ? "there" : "refused");
}

static void mappings(void) {
    size_t page = 4096;
    unsigned char *map = mmap(NULL, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 8; i++) {
        map[i * page] = (unsigned char)(i + 1);
    }
    printf("mprotect %d\n", mprotect(map + 2 * page, page, PROT_READ));
    printf("read only page holds %d\n", map[2 * page]);
    mprotect(map + 2 * page, page, PROT_NONE);
    mprotect(map + 2 * page, page, PROT_READ | PROT_WRITE);
    map[2 * page]++;
    printf("after PROT_NONE it holds %d\n", map[2 * page]);
    madvise(map + 3 * page, page, MADV_DONTNEED);
    printf("discarded page holds %d\n", map[3 * page]);
    munmap(map + 4 * page, page);
    unsigned char *moved = mremap(map, 4 * page, 64 * page, MREMAP_MAYMOVE);
    printf("moved pages hold %d %d %d\n", moved[0], moved[page], moved[63 * page]);
    printf("hole: %s\n", mprotect(map + 4 * page, page, PROT_READ) == 0 ? "mapped" : "not mapped");
    printf("bad length: %s\n", mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? "refused" : "taken");

    volatile int *shared = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    volatile int *private = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *shared = *private = 1;
    if (fork() == 0) {
        *shared += 10;
        *private += 10;
        _exit(*private);
    }
    int status;
    wait(&status);
    printf("shared %d, private %d, of the child %d\n", *shared, *private, WEXITSTATUS(status));
}

int main(void) {
    heap();
    mappings();
    return 0;
}
