/* A long way between two network devices: every frame that arrives at one leaves by the other a fixed time later.
 *
 *     cc -O2 -o delay_forwarder delay_forwarder.c
 *     delay_forwarder DEVICE DEVICE MICROSECONDS      each way; half of the round trip
 *
 * Stands between the ends of two veth pairs, in a network namespace of its own, where the kernel has no netem. Frames
 * keep their virtio_net_hdr, so that those that still lack a checksum, or are many segments in one, pass as they are.
 * Says "ready" once it forwards. Needs CAP_NET_RAW.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <time.h>

#define FRAME 70000       /* the largest, with its headers */
#define BURST 64          /* frames taken from one device before the other is looked at */
#define UNDER_WAY 400000  /* frames at most; what comes on top is lost */
#define RECEIVE (64 << 20)

struct frame {
	struct frame *next;
	long long due; /* microseconds */
	int to;
	ssize_t size;
	char bytes[];
};

static struct frame *first, **last = &first;
static int under_way;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static long long now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static int open_device(const char *name)
{
	int yes = 1, size = RECEIVE, device = socket(AF_PACKET, SOCK_RAW, 0);
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex(name),
	};
	struct packet_mreq all = {.mr_ifindex = address.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
	setsockopt(device, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	setsockopt(device, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all);
	setsockopt(device, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof yes);
	if (setsockopt(device, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof yes))
		die("PACKET_VNET_HDR");
	if (bind(device, (struct sockaddr *)&address, sizeof address))
		die(name);
	return device;
}

static void take(int from, int to, long long delay)
{
	static char bytes[FRAME];
	for (int count = 0; count < BURST; count++) {
		ssize_t size = recv(from, bytes, sizeof bytes, MSG_DONTWAIT);
		if (size <= 0)
			return;
		struct frame *frame = under_way < UNDER_WAY ? malloc(sizeof *frame + size) : NULL;
		if (!frame)
			continue;
		*frame = (struct frame){.due = now() + delay, .to = to, .size = size};
		memcpy(frame->bytes, bytes, size);
		*last = frame;
		last = &frame->next;
		under_way++;
	}
}

/* All frames wait equally long, so the first to come is the first to go. */
static void deliver(void)
{
	while (first && first->due <= now()) {
		struct frame *frame = first;
		if (send(frame->to, frame->bytes, frame->size, 0) < 0 && errno != ENOBUFS)
			perror("send");
		first = frame->next;
		if (!first)
			last = &first;
		free(frame);
		under_way--;
	}
}

int main(int count, char **words)
{
	if (count != 4) {
		fprintf(stderr, "usage: %s DEVICE DEVICE MICROSECONDS\n", words[0]);
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	struct pollfd devices[] = {
		{.fd = open_device(words[1]), .events = POLLIN},
		{.fd = open_device(words[2]), .events = POLLIN},
	};
	long long delay = atoll(words[3]);
	puts("ready");
	fflush(stdout);
	for (;;) {
		long long wait = first ? first->due - now() : 3600000000LL;
		if (wait < 0)
			wait = 0;
		struct timespec timeout = {wait / 1000000, wait % 1000000 * 1000};
		ppoll(devices, 2, &timeout, NULL);
		take(devices[0].fd, devices[1].fd, delay);
		take(devices[1].fd, devices[0].fd, delay);
		deliver();
	}
}
