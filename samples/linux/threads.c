/* Threads: a mutex, a condition variable, joins and thread-local storage. */
#include <pthread.h>
#include <stdio.h>

enum { threads = 4, rounds = 2000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long sum;
static int turn;
static __thread long own;

static void *work(void *argument) {
    int id = (int)(long)argument;
    for (int i = 0; i < rounds; i++) {
        pthread_mutex_lock(&lock);
        sum += id;
        own += id;
        pthread_mutex_unlock(&lock);
    }
    pthread_mutex_lock(&lock);
    while (turn != id) {
        pthread_cond_wait(&changed, &lock);
    }
    printf("thread %d counted %ld\n", id, own);
    turn++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return (void *)own;
}

int main(void) {
    pthread_t ids[threads];
    long joined = 0;
    for (long i = threads - 1; i >= 0; i--) {
        if (pthread_create(&ids[i], NULL, work, (void *)i) != 0) {
            return 1;
        }
    }
    for (int i = 0; i < threads; i++) {
        void *result;
        pthread_join(ids[i], &result);
        joined += (long)result;
    }
    printf("sum %ld, joined %ld\n", sum, joined);
    return 0;
}
