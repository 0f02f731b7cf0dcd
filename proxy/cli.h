/*
 * The commands of the binary: one table row and one file each.
 */
#ifndef ISO_PROXY_CLI_H
#define ISO_PROXY_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Exit codes, documented in docs/operations.md. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* the configuration is bad, an address cannot be bound, … */
	EXIT_USAGE = 2,  /* the command line is wrong */
};

struct command {
	const char *name;
	const char *arguments; /* for the help */
	const char *text;
	int (*run)(int argc, char **argv); /* argv[0] is the command's name */
};

int cmd_run(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_healthcheck(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_emulate(int argc, char **argv);
int cmd_schema(int argc, char **argv);

/* One option of a command, for cli_parse. */
struct cli_option {
	const char *name;      /* "--config" */
	const char *letter;    /* "-c", or NULL */
	const char **value;    /* where its argument goes; NULL: the option takes none */
	bool *flag;            /* set when it is there; may be NULL */
	struct cli_words *all; /* each of its arguments goes there, too; may be NULL */
};

/* Plain words of a command line, or the arguments of an option that may come more than once. */
struct cli_words {
	const char *v[16];
	size_t n, max; /* max: at most 16 */
};

/* EXIT_OK, or EXIT_USAGE with words on stderr. Plain words go to `words`; NULL: there are none. */
int cli_parse(int argc, char **argv, const struct cli_option *options, size_t n, struct cli_words *words);
/* "250ms", "2s": microseconds; false when malformed. */
bool cli_duration_us(const char *text, uint64_t *ret_us);

#endif
