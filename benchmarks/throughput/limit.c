/* The limit: the work no way around exists for, in C on N threads, and nothing else.
 *
 * Counted, for each file: one ranged GET on a connection that stays open (the kernel copies the body from nginx' page
 * cache through a loopback socket into one reused buffer), MD5 and SHA-256 (OpenSSL), gzip at ISA-L's level 2, and
 * writing the result to a file that is renamed into place. The MD5 is compared with the manifest's.
 * Not counted, and not done: fsync, retries, reading ahead, any bookkeeping. nginx' own CPU time is not counted for
 * this or any other contender, although it runs on the same cores.
 *
 * usage: limit MANIFEST PORT PREFIX OUT THREADS COUNT REQUESTS_BEFORE
 * Before each file, REQUESTS_BEFORE requests for its first byte stand for the calls of an API.
 * Prints {"seconds": ..., "cpu": ...}.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (128 * 1024) /* hashed and deflated while still in the second-level cache */
#define GZIP_LEVEL 2

struct item { char path[128]; long size; char md5[33]; };

static struct item *items;
static int count, port, before;
static const char *prefix, *out_folder;
static atomic_int next_item;

static void die(const char *what) { perror(what); exit(1); }

static int dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* Ask for bytes; returns how many of the body came with the head, now at the start of buffer. */
static long ask(int fd, const char *path, const char *range, unsigned char *buffer)
{
    char request[512];
    int length = snprintf(request, sizeof request,
        "GET %s/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nRange: bytes=%s\r\nAccept-Encoding: identity\r\n\r\n", prefix, path, range);
    if (write(fd, request, length) != length) die("write");
    long have = 0;
    for (;;) {
        long got = recv(fd, buffer + have, BLOCK - have, 0);
        if (got <= 0) die("recv");
        have += got;
        unsigned char *end = memmem(buffer, have, "\r\n\r\n", 4);
        if (!end) continue;
        if (memcmp(buffer, "HTTP/1.1 206", 12)) { fprintf(stderr, "%.40s\n", buffer); exit(1); }
        have -= end + 4 - buffer;
        memmove(buffer, end + 4, have);
        return have;
    }
}

static void take(int fd, struct item *item, unsigned char *buffer, unsigned char *packed, struct isal_zstream *stream,
                 unsigned char *level_buffer, EVP_MD_CTX *md5, EVP_MD_CTX *sha256)
{
    char name[512], final[512];
    for (int i = 0; i < before; i++)
        for (long have = ask(fd, item->path, "0-0", buffer); have < 1; have++)
            if (recv(fd, buffer, 1, MSG_WAITALL) != 1) die("recv");
    const char *slash = strrchr(item->path, '/');
    snprintf(final, sizeof final, "%s/%s.gz", out_folder, slash ? slash + 1 : item->path);
    snprintf(name, sizeof name, "%s.part", final);
    int out = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (out < 0) die("open");
    EVP_DigestInit_ex(md5, EVP_md5(), NULL);
    EVP_DigestInit_ex(sha256, EVP_sha256(), NULL);
    isal_deflate_init(stream);
    stream->level = GZIP_LEVEL;
    stream->level_buf = level_buffer;
    stream->level_buf_size = ISAL_DEF_LVL2_DEFAULT;
    stream->gzip_flag = IGZIP_GZIP;
    long left = item->size, have = ask(fd, item->path, "0-", buffer);
    while (left > 0) {
        long want = left < BLOCK ? left : BLOCK;
        if (have < want) {
            long got = recv(fd, buffer + have, want - have, MSG_WAITALL);
            if (got != want - have) die("recv");
        }
        have = 0;
        left -= want;
        EVP_DigestUpdate(md5, buffer, want);
        EVP_DigestUpdate(sha256, buffer, want);
        stream->next_in = buffer;
        stream->avail_in = want;
        stream->end_of_stream = left == 0;
        do {
            stream->next_out = packed;
            stream->avail_out = BLOCK;
            if (isal_deflate(stream) != COMP_OK) die("deflate");
            long size = BLOCK - stream->avail_out;
            if (write(out, packed, size) != size) die("write");
        } while (stream->avail_out == 0);
    }
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[33];
    EVP_DigestFinal_ex(sha256, digest, NULL);
    EVP_DigestFinal_ex(md5, digest, NULL);
    for (int i = 0; i < 16; i++) sprintf(hex + 2 * i, "%02x", digest[i]);
    if (strcmp(hex, item->md5)) { fprintf(stderr, "%s: other bytes came\n", item->path); exit(1); }
    close(out);
    if (rename(name, final)) die("rename");
}

static void *work(void *unused)
{
    unsigned char *buffer = malloc(BLOCK), *packed = malloc(BLOCK), *level_buffer = malloc(ISAL_DEF_LVL2_DEFAULT);
    struct isal_zstream *stream = malloc(sizeof *stream);
    EVP_MD_CTX *md5 = EVP_MD_CTX_new(), *sha256 = EVP_MD_CTX_new();
    int fd = dial();
    for (int i; (i = atomic_fetch_add(&next_item, 1)) < count;)
        take(fd, &items[i], buffer, packed, stream, level_buffer, md5, sha256);
    close(fd);
    return unused;
}

int main(int argc, char **argv)
{
    if (argc != 8) { fprintf(stderr, "usage: limit MANIFEST PORT PREFIX OUT THREADS COUNT REQUESTS_BEFORE\n"); return 2; }
    FILE *manifest = fopen(argv[1], "r");
    if (!manifest) die(argv[1]);
    port = atoi(argv[2]), prefix = argv[3], out_folder = argv[4], before = atoi(argv[7]);
    int threads = atoi(argv[5]), wanted = atoi(argv[6]);
    items = calloc(wanted, sizeof *items);
    while (count < wanted && fscanf(manifest, "%127s %ld %32s", items[count].path, &items[count].size, items[count].md5) == 3)
        count++;
    struct timespec began, ended;
    clock_gettime(CLOCK_MONOTONIC, &began);
    pthread_t *all = calloc(threads, sizeof *all);
    for (int i = 0; i < threads; i++)
        if (pthread_create(&all[i], NULL, work, NULL)) die("pthread_create");
    for (int i = 0; i < threads; i++) pthread_join(all[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"seconds\": %.6f, \"cpu\": %.6f}\n",
        ended.tv_sec - began.tv_sec + (ended.tv_nsec - began.tv_nsec) / 1e9,
        used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    return 0;
}
