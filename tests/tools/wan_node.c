/* A node: a network namespace without a name, a TUN device in it, addresses. */
#include "wan_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool parse_network(struct wan *wan, const char *text, struct node *node)
{
	char address[INET_ADDRSTRLEN], *end;
	const char *slash = strchr(text, '/');
	unsigned long bits;

	if (!slash || (size_t)(slash - text) >= sizeof(address))
		return wan_fail(wan, "%s: an IPv4 address and its network's bits were expected: 10.0.0.1/24",
				text);
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	bits = strtoul(slash + 1, &end, 10);
	if (inet_pton(AF_INET, address, &node->address) != 1 || end == slash + 1 || *end != '\0' ||
	    bits < 8 || bits > 30)
		return wan_fail(wan, "%s: an IPv4 address and 8 to 30 bits were expected: 10.0.0.1/24", text);
	node->mask = htonl(~0u << (32 - bits));
	return true;
}

static bool is_new(struct wan *wan, const struct node *node)
{
	for (unsigned i = 0; i < wan->node_count; i++) {
		if (strcmp(wan->nodes[i].name, node->name) == 0)
			return wan_fail(wan, "%s: there is a node of this name already", node->name);
		if (wan->nodes[i].address == node->address)
			return wan_fail(wan, "%s: %s has this address already", node->name,
					wan->nodes[i].name);
	}
	return true;
}

static bool open_tun(struct wan *wan, struct node *node)
{
	struct ifreq request = { .ifr_name = WAN_DEVICE, .ifr_flags = IFF_TUN | IFF_NO_PI };

	node->tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (node->tun < 0)
		return wan_fail(wan, "/dev/net/tun: %s: %s", strerror(errno),
				errno == ENOENT || errno == ENODEV
					? "the kernel has no TUN devices, or a container hides them"
					: "root opens it");
	if (ioctl(node->tun, TUNSETIFF, &request) < 0)
		return wan_fail(wan, "%s: cannot make a TUN device: %s", node->name, strerror(errno));
	return true;
}

static bool set_flag_up(int fd, const char *device)
{
	struct ifreq request = { 0 };

	memcpy(request.ifr_name, device, strlen(device) + 1);
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return false;
	request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
	return ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

static bool set_address(int fd, unsigned long what, uint32_t address)
{
	struct ifreq request = { .ifr_name = WAN_DEVICE };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { address } };

	memcpy(&request.ifr_addr, &in, sizeof(in));
	return ioctl(fd, what, &request) == 0;
}

/* What we have not read yet waits in the device, of which the kernel drops what exceeds 500 packets by
 * default. */
static bool set_room(int fd)
{
	struct ifreq request = { .ifr_name = WAN_DEVICE, .ifr_qlen = ROOM };

	return ioctl(fd, SIOCSIFTXQLEN, &request) == 0;
}

/* The way to the whole network leads through the device: who is there is ours to know. */
static bool bring_up(struct wan *wan, const struct node *node)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && set_flag_up(fd, "lo") && set_address(fd, SIOCSIFADDR, node->address) &&
		  set_address(fd, SIOCSIFNETMASK, node->mask) && set_room(fd) && set_flag_up(fd, WAN_DEVICE);

	if (!ok)
		(void)wan_fail(wan, "%s: cannot set up its devices: %s", node->name, strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool furnish(struct wan *wan, struct node *node)
{
	if (unshare(CLONE_NEWNET) < 0)
		return wan_fail(wan, "cannot make a network namespace: %s%s", strerror(errno),
				errno == EPERM ? ": root may" : "");
	node->space = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (node->space < 0)
		return wan_fail(wan, "/proc/thread-self/ns/net: %s", strerror(errno));
	return open_tun(wan, node) && bring_up(wan, node);
}

bool node_make(struct wan *wan, const char *name, const char *network)
{
	struct node *node = &wan->nodes[wan->node_count];
	size_t len = strlen(name);
	bool ok;

	if (wan->node_count == NODES_MAX)
		return wan_fail(wan, "%s: there are %d nodes already", name, NODES_MAX);
	if (len == 0 || len > NAME_LEN_MAX)
		return wan_fail(wan, "%s: a name has 1 to %d characters", name, NAME_LEN_MAX);
	*node = (struct node){ .space = -1, .tun = -1 };
	memcpy(node->name, name, len + 1);
	if (!parse_network(wan, network, node) || !is_new(wan, node))
		return false;
	ok = furnish(wan, node);
	if (setns(wan->home, CLONE_NEWNET) < 0 && ok)
		ok = wan_fail(wan, "cannot come back from %s: %s", name, strerror(errno));
	if (!ok) {
		node_close(node);
		return false;
	}
	wan->node_count++;
	return true;
}

void node_close(struct node *node)
{
	if (node->tun >= 0)
		close(node->tun);
	if (node->space >= 0)
		close(node->space);
	node->tun = node->space = -1;
}
