/*
 * The rules of retry safety as tables in Markdown: what docs/retries.md shows is what the code says.
 */
#ifndef ISO_PROXY_RETRY_TABLE_H
#define ISO_PROXY_RETRY_TABLE_H

#include <stdio.h>

void retry_table_print(FILE *out);

#endif
