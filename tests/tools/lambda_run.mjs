// node lambda_run.mjs FILE: what Lambda's runtime does for a function, over standard input and output. Each line in is
// {id, event, left_ms?}, each line out {id, response} or {id, error}; invocations may overlap.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { handler } = await import(pathToFileURL(process.argv[2]));
const context = (leftMs) => leftMs === undefined ? {} : { getRemainingTimeInMillis: () => leftMs };

createInterface({ input: process.stdin }).on("line", async (line) => {
	const { id, event, left_ms: leftMs } = JSON.parse(line);
	const out = {};
	try {
		out.response = await handler(event, context(leftMs));
	} catch (error) {
		out.error = String(error?.stack ?? error);
	}
	process.stdout.write(`${JSON.stringify({ id, ...out })}\n`);
}).on("close", () => process.exit(0));
