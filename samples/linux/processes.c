/* fork, exec, pipes, waiting and signals. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t seen;
static sigjmp_buf back;

static void note(int signal) { seen = seen * 100 + signal; }

static void recover(int signal, siginfo_t *info, void *context) {
    (void)context;
    seen = signal;
    siglongjmp(back, info->si_addr == (void *)0x1230 ? 1 : 2);
}

static void pipes(void) {
    int ends[2];
    if (pipe(ends) != 0) {
        exit(1);
    }
    if (fork() == 0) {
        close(ends[0]);
        char block[5000];
        memset(block, 'x', sizeof block);
        for (int i = 0; i < 60; i++) {
            if (write(ends[1], block, sizeof block) != sizeof block) {
                _exit(1);
            }
        }
        _exit(3);
    }
    close(ends[1]);
    long total = 0;
    char buffer[3000];
    for (ssize_t got; (got = read(ends[0], buffer, sizeof buffer)) > 0;) {
        total += got;
    }
    int status;
    wait(&status);
    printf("%ld bytes through the pipe, child %d\n", total, WEXITSTATUS(status));

    close(ends[0]);
    if (pipe(ends) != 0) {
        exit(1);
    }
    close(ends[0]);
    if (fork() == 0) {
        write(ends[1], "x", 1);
        _exit(0);
    }
    wait(&status);
    printf("writer without a reader: signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    signal(SIGPIPE, SIG_IGN);
    printf("and ignored: %s\n", write(ends[1], "x", 1) < 0 ? strerror(errno) : "written");
    close(ends[1]);
}

static void signals(void) {
    struct sigaction action = {.sa_handler = note};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    raise(SIGUSR1);
    printf("seen %d\n", (int)seen);
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, &old);
    seen = 0;
    kill(getpid(), SIGUSR2);
    printf("blocked: seen %d\n", (int)seen);
    sigsuspend(&old);
    printf("after sigsuspend: seen %d\n", (int)seen);
    sigprocmask(SIG_SETMASK, &old, NULL);

    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&stack, NULL);
    struct sigaction fault = {.sa_sigaction = recover, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGSEGV, &fault, NULL);
    volatile int times = 0;
    int where = sigsetjmp(back, 1);
    if (where == 0 || (where == 1 && ++times < 100)) {
        *(volatile int *)0x1230 = 1;
    }
    printf("recovered from %d, address %s, %d times\n", (int)seen, where == 1 ? "right" : "wrong", times);

    pid_t child = fork();
    if (child == 0) {
        for (;;) {
            pause();
        }
    }
    struct timespec nap = {.tv_nsec = 1000000};
    nanosleep(&nap, NULL);
    kill(child, SIGTERM);
    int status;
    waitpid(child, &status, 0);
    printf("child killed by %d\n", WTERMSIG(status));
    printf("no child: %s\n", wait(&status) < 0 && errno == ECHILD ? "right" : "wrong");
}

int main(int argc, char **argv) {
    if (argc > 1) {
        printf("executed as %s with %s\n", argv[0], argv[1]);
        return 42;
    }
    setbuf(stdout, NULL);
    pipes();
    signals();
    pid_t child = vfork();
    if (child == 0) {
        char *arguments[] = {"again", "an argument", NULL};
        execve("/proc/self/exe", arguments, NULL);
        _exit(1);
    }
    int status;
    waitpid(child, &status, 0);
    printf("status %d\n", WEXITSTATUS(status));
    char *none[] = {"none", NULL};
    printf("no such program: %s\n", execv("/no/such/program", none) < 0 ? strerror(errno) : "");
    for (int i = 0; i < 300; i++) {
        if ((child = fork()) == 0) {
            _exit(0);
        }
        waitpid(child, &status, 0);
    }
    printf("300 children came and went\n");
    return 0;
}
