/* Files in the folder that is the first argument. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *outcome(int result) { return result < 0 ? strerror(errno) : "done"; }

int main(int argc, char **argv) {
    if (argc < 2 || chdir(argv[1]) != 0) {
        printf("chdir: %s\n", strerror(errno));
        return 1;
    }
    int file = open("one", O_CREAT | O_EXCL | O_RDWR, 0640);
    printf("wrote %zd\n", write(file, "hello, files\n", 13));
    printf("again: %s\n", outcome(open("one", O_CREAT | O_EXCL | O_RDWR, 0640)));
    char text[32] = "";
    printf("at %ld ", (long)lseek(file, 7, SEEK_SET));
    printf("read %zd: ", read(file, text, sizeof text));
    printf("%s", text);
    printf("pread %zd\n", pread(file, text, 5, 0));
    printf("pwrite %zd\n", pwrite(file, "H", 1, 0));
    struct stat status;
    fstat(file, &status);
    printf("size %ld, mode %o\n", (long)status.st_size, status.st_mode);
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    close(file);
    printf("mapped: %.5s %d\n", map, map[13]);
    map[0] = 'J';
    FILE *stream = fopen("two", "w");
    for (int i = 0; i < 10000; i++) {
        fprintf(stream, "line %d\n", i);
    }
    fclose(stream);
    stat("two", &status);
    printf("two has %ld bytes\n", (long)status.st_size);
    printf("mkdir %s\n", outcome(mkdir("sub", 0755)));
    printf("symlink %s\n", outcome(symlink("one", "link")));
    printf("rename %s\n", outcome(rename("two", "sub/three")));
    ssize_t length = readlink("link", text, sizeof text);
    printf("link leads to %.*s\n", (int)length, text);
    lstat("link", &status);
    printf("it is %s link\n", S_ISLNK(status.st_mode) ? "a" : "no");
    struct dirent **entries;
    int count = scandir(".", &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        printf("%s%s", entries[i]->d_name, i + 1 < count ? " " : "\n");
    }
    printf("rmdir %s\n", outcome(rmdir("sub")));
    printf("unlink %s\n", outcome(unlink("sub/three")));
    printf("unlink %s\n", outcome(unlink("link")));
    printf("unlink %s\n", outcome(unlink("one")));
    printf("rmdir %s\n", outcome(rmdir("sub")));
    printf("open %s\n", outcome(open("one", O_RDONLY)));
    printf("open ..: %s\n", outcome(open("../surely-not-there", O_RDONLY)));
    printf("write to a folder: %s\n", outcome(open(".", O_WRONLY)));
    printf("bad descriptor: %s\n", outcome(close(77)));
    int null = open("/dev/null", O_WRONLY);
    printf("null takes %zd\n", write(null, text, 10));
    return 0;
}
