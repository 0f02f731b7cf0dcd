/*
 * Recorded decisions, computed again.
 */
#ifndef ISO_PROXY_RECOMPUTE_H
#define ISO_PROXY_RECOMPUTE_H

/*
 * Reads an access log ("-": standard input), computes each line's `decision` again, and prints what does not
 * come out the same, and how many there were. EXIT_OK: there were some, and all hold.
 */
int recompute_log(const char *path);

#endif
