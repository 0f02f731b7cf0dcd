// A health function for AWS Lambda: pings what the API depends on and answers application/health+json.
// It needs nothing but Node.js 18 or newer; health.py beside it does the same. ../README.md says how to set it up.
//
// Nothing that is configured ever gets into an answer or a log but the checks' names and affected endpoints: errors
// are told in the few words below, since a system's own words may hold addresses and secrets.
import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import path from "node:path";
import tls from "node:tls";
import { fileURLToPath } from "node:url";

const TYPES = ["datastore", "component", "system"];
const KEYS = ["url", "timeout_ms", "warn_ms", "type", "optional", "affects", "statuses", "method", "headers", "ca",
	"send", "expect"];
const FOR_HTTP = ["statuses", "method", "headers"];
const FOR_STREAM = ["send", "expect"];
const CHECKS_MAX = 32;
const RESERVE_MS = 100; // what is left of the function's own time for the answer
const LATE_MS = 250; // before a second address of a name is tried too

const ADDRESS = new RegExp("^(tcp|tls|http|https)://(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?" +
	"([/?][\\x21\\x22\\x24-\\x7e]*)?$");
const HOOK = /^hook:([A-Za-z_][A-Za-z0-9_]*)$/;
const NAME = /^[A-Za-z0-9._-]{1,63}$/;
const FIELD = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
const VALUE = /^[\x20-\x7e\t]*$/;

class Unwell extends Error {}

// ---- Configuration ----

function number(env, name, usual, least, most, problems) {
	const text = env[name];
	if (text === undefined || text === "")
		return usual;
	const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : -1;
	if (value >= least && value <= most)
		return value;
	problems.push(`${name} must be a whole number from ${least} to ${most}`);
	return usual;
}

// ${NAME} is taken from the environment, so that a secret is no part of HEALTH_CHECKS.
function expand(text, env, place, problems) {
	return text.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (all, name) => {
		if (env[name] === undefined)
			problems.push(`${place}: the environment variable ${name} is not set`);
		return env[name] ?? "";
	});
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const isWhole = (value, least, most) => Number.isInteger(value) && value >= least && value <= most;
const isTexts = (value) => Array.isArray(value) && value.length > 0 && value.every((v) => typeof v === "string");

function readAddress(check, place, problems) {
	const hook = HOOK.exec(check.url);
	if (hook) {
		check.scheme = "hook";
		check.hook = hook[1];
		return;
	}
	const parts = ADDRESS.exec(check.url);
	if (!parts) {
		problems.push(`${place}: url must be tcp://host:port, tls://host:port, an http:// or https:// URL ` +
			"without user, password and #, or hook:name");
		return;
	}
	const isHttp = parts[1] === "http" || parts[1] === "https";
	check.scheme = parts[1];
	check.host = parts[2].replace(/^\[|\]$/g, "");
	check.port = Number(parts[3] ?? (parts[1] === "https" ? 443 : 80));
	check.path = (parts[4] ?? "/").replace(/^\?/, "/?");
	if (!isHttp && (parts[3] === undefined || parts[4] !== undefined))
		problems.push(`${place}: ${parts[1]}:// takes a host and a port, and no path`);
	if (check.port < 1 || check.port > 65535)
		problems.push(`${place}: the port must be from 1 to 65535`);
}

function readOptions(check, env, place, problems) {
	const wrong = (key, words) => problems.push(`${place}: ${key} must be ${words}`);
	const isHttp = check.scheme === "http" || check.scheme === "https";
	const isStream = check.scheme === "tcp" || check.scheme === "tls";

	for (const key of Object.keys(check.given)) {
		if (!KEYS.includes(key))
			problems.push(`${place}: there is no key ${NAME.test(key) ? key : "of that name"}`);
		else if ((FOR_HTTP.includes(key) && !isHttp) || (FOR_STREAM.includes(key) && !isStream) ||
				(key === "ca" && check.scheme !== "tls" && check.scheme !== "https"))
			problems.push(`${place}: ${key} does not go with this url`);
	}
	if (check.timeout_ms !== undefined && !isWhole(check.timeout_ms, 10, 30000))
		wrong("timeout_ms", "a whole number from 10 to 30000");
	if (check.warn_ms !== undefined && !isWhole(check.warn_ms, 1, 30000))
		wrong("warn_ms", "a whole number from 1 to 30000");
	if (check.type !== undefined && !TYPES.includes(check.type))
		wrong("type", "datastore, component or system");
	if (check.optional !== undefined && typeof check.optional !== "boolean")
		wrong("optional", "true or false");
	if (check.affects !== undefined && !isTexts(check.affects))
		wrong("affects", "a list of paths");
	if (check.statuses !== undefined && !(Array.isArray(check.statuses) && check.statuses.length > 0 &&
			check.statuses.every((status) => isWhole(status, 200, 599))))
		wrong("statuses", "a list of numbers from 200 to 599");
	if (check.method !== undefined && check.method !== "GET" && check.method !== "HEAD")
		wrong("method", "GET or HEAD");
	for (const key of ["send", "expect"]) {
		if (check[key] !== undefined && (typeof check[key] !== "string" || check[key] === ""))
			wrong(key, "a text");
		else if (check[key] !== undefined)
			check[key] = expand(check[key], env, place, problems);
	}
	if (check.headers !== undefined && !isObject(check.headers))
		wrong("headers", "an object of texts");
	else
		readHeaders(check, env, place, problems);
	if (check.ca !== undefined && (check.scheme === "tls" || check.scheme === "https"))
		readCa(check, place, problems);
}

function readHeaders(check, env, place, problems) {
	const headers = {};
	for (const [name, value] of Object.entries(check.headers ?? {})) {
		const text = typeof value === "string" ? expand(value, env, place, problems) : undefined;
		if (text === undefined || !FIELD.test(name) || !VALUE.test(text))
			problems.push(`${place}: headers must be an object of texts that HTTP allows`);
		else
			headers[name] = text;
	}
	check.headers = headers;
}

// A file's name counts from this function's directory.
function readCa(check, place, problems) {
	try {
		check.ca = readFileSync(path.resolve(fileURLToPath(new URL(".", import.meta.url)), check.ca));
		tls.createSecureContext({ ca: check.ca });
		if (!check.ca.includes("-----BEGIN CERTIFICATE-----"))
			throw new Error();
	} catch {
		problems.push(`${place}: ca must be a PEM file of certificates that can be read`);
	}
}

function readCheck(name, given, env, problems) {
	const place = NAME.test(name) ? `HEALTH_CHECKS ${name}` : "HEALTH_CHECKS";
	if (!NAME.test(name))
		problems.push(`${place}: a name is 1 to 63 letters, digits, dots, dashes and underscores`);
	if (typeof given === "string")
		given = { url: given };
	if (!isObject(given) || typeof given.url !== "string") {
		problems.push(`${place}: must be a url, or an object with a url`);
		return undefined;
	}
	const check = { ...given, name, given };
	readAddress(check, place, problems);
	if (check.scheme !== undefined)
		readOptions(check, env, place, problems);
	return check;
}

function readChecks(env, problems) {
	if (!env.HEALTH_CHECKS) {
		problems.push("HEALTH_CHECKS is not set: it names what is to be pinged");
		return [];
	}
	let root;
	try {
		root = JSON.parse(env.HEALTH_CHECKS);
	} catch {
		problems.push("HEALTH_CHECKS is no valid JSON");
		return [];
	}
	if (!isObject(root) || Object.keys(root).length > CHECKS_MAX) {
		problems.push(`HEALTH_CHECKS must be an object of at most ${CHECKS_MAX} checks`);
		return [];
	}
	return Object.entries(root).map(([name, given]) => readCheck(name, given, env, problems));
}

// Hooks are the owner's own pings, such as a query: functions of hooks.mjs that take { signal, timeoutMs } and throw,
// or reject, when something is wrong.
async function readHooks(checks, problems) {
	if (!checks.some((check) => check?.hook))
		return {};
	let hooks;
	try {
		hooks = await import(new URL("hooks.mjs", import.meta.url));
	} catch {
		problems.push("the hooks beside this function cannot be loaded");
		return {};
	}
	for (const check of checks)
		if (check?.hook && typeof hooks[check.hook] !== "function")
			problems.push(`HEALTH_CHECKS ${check.name}: there is no hook of that name`);
	return hooks;
}

async function configure(env) {
	const problems = [];
	const config = {
		checkMs: number(env, "HEALTH_TIMEOUT_MS", 1000, 10, 30000, problems),
		totalMs: number(env, "HEALTH_TOTAL_MS", 1500, 10, 30000, problems),
		cacheMs: number(env, "HEALTH_CACHE_MS", 0, 0, 3600000, problems),
		token: env.HEALTH_TOKEN || undefined,
		about: {},
	};
	for (const [key, value] of [["version", env.HEALTH_VERSION], ["releaseId", env.AWS_LAMBDA_FUNCTION_VERSION],
			["serviceId", env.HEALTH_SERVICE]])
		if (value)
			config.about[key] = value;
	config.checks = readChecks(env, problems);
	config.hooks = await readHooks(config.checks, problems);
	config.problems = problems;
	for (const problem of problems)
		console.error(`health: ${problem}`);
	return config;
}

// ---- Pings ----

function wordsOf(error) {
	const code = String(error?.code ?? "");
	if (error instanceof Unwell)
		return error.message;
	if (code === "ENOTFOUND" || code.startsWith("EAI_"))
		return "its name does not resolve";
	if (code === "ECONNREFUSED")
		return "the connection is refused";
	if (code === "ECONNRESET" || code === "EPIPE" || code === "ECONNABORTED")
		return "the connection breaks off";
	if (code === "EHOSTUNREACH" || code === "ENETUNREACH" || code === "EADDRNOTAVAIL")
		return "there is no way to it";
	if (code === "ETIMEDOUT")
		return "the connection times out";
	if (code.startsWith("HPE_"))
		return "it gives no HTTP answer";
	if (/^(CERT_|INVALID_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT_|HOSTNAME_)/.test(code))
		return "its certificate is not trusted, or not for this name";
	if (/^(ERR_SSL_|ERR_TLS_|EPROTO)/.test(code))
		return "the TLS handshake fails";
	return "it fails";
}

// What can be ended when the time is up is handed to `own`.
function pingStream(check, own) {
	return new Promise((resolve, reject) => {
		const isTls = check.scheme === "tls";
		const options = {
			host: check.host, port: check.port,
			autoSelectFamily: true, autoSelectFamilyAttemptTimeout: LATE_MS,
		};
		if (isTls)
			Object.assign(options, { ca: check.ca, servername: net.isIP(check.host) ? "" : check.host });
		const socket = isTls ? tls.connect(options) : net.connect(options);
		let heard = "";

		own(socket);
		socket.setEncoding("latin1");
		socket.on("error", reject);
		socket.on("close", () => reject(new Unwell("the connection breaks off")));
		socket.on(isTls ? "secureConnect" : "connect", () => {
			if (check.send !== undefined)
				socket.write(check.send);
			if (check.expect === undefined)
				resolve();
		});
		socket.on("data", (text) => {
			heard += text;
			const want = Buffer.from(check.expect ?? "").toString("latin1");
			if (heard.startsWith(want))
				resolve();
			else if (!want.startsWith(heard))
				reject(new Unwell("it gives an unexpected answer"));
		});
	});
}

function pingHttp(check, own) {
	return new Promise((resolve, reject) => {
		const isTls = check.scheme === "https";
		const request = (isTls ? https : http).request({
			host: check.host, port: check.port, path: check.path, method: check.method ?? "GET",
			headers: { accept: "*/*", "user-agent": "health-function", ...check.headers },
			agent: false, ca: check.ca, servername: net.isIP(check.host) ? "" : check.host,
			autoSelectFamily: true, autoSelectFamilyAttemptTimeout: LATE_MS,
		});

		own(request);
		request.on("error", reject);
		request.on("response", (answer) => {
			const status = answer.statusCode;
			if (check.statuses ? check.statuses.includes(status) : status >= 200 && status < 300)
				resolve();
			else
				reject(new Unwell(`it answers with status ${status}`));
		});
		request.end();
	});
}

async function pingHook(check, hooks, limit, own) {
	const stop = new AbortController();
	own({ destroy: () => stop.abort(), on() {} });
	try {
		await hooks[check.hook]({ signal: stop.signal, timeoutMs: limit });
	} catch {
		throw new Unwell("its hook fails");
	}
}

// The outcome of one ping as the draft has it; never rejects.
async function look(check, config, deadline) {
	const began = performance.now();
	const limit = Math.max(1, Math.min(check.timeout_ms ?? config.checkMs, deadline - began));
	const mine = [];
	const own = (thing) => mine.push(thing);
	let timer, output;

	try {
		const late = new Unwell(`it takes longer than ${Math.round(limit)} ms`);
		const ping = check.hook ? pingHook(check, config.hooks, limit, own)
			: check.scheme.startsWith("http") ? pingHttp(check, own) : pingStream(check, own);
		await Promise.race([ping, new Promise((_, reject) => {
			timer = setTimeout(() => reject(late), limit);
		})]);
	} catch (error) {
		output = wordsOf(error);
	}
	clearTimeout(timer);
	for (const thing of mine) {
		thing.on("error", () => {});
		thing.destroy();
	}
	return outcome(check, performance.now() - began, output);
}

function outcome(check, took, failure) {
	const isSlow = failure === undefined && check.warn_ms !== undefined && took > check.warn_ms;
	const status = failure !== undefined ? "fail" : isSlow ? "warn" : "pass";
	const output = isSlow ? `it takes longer than ${check.warn_ms} ms` : failure;
	const isApi = check.scheme === "http" || check.scheme === "https";
	const result = {
		componentId: check.name, componentType: check.type ?? (isApi ? "component" : "datastore"),
		observedValue: Math.round(took * 10) / 10, observedUnit: "ms", status,
	};
	if (status !== "pass" && check.affects)
		result.affectedEndpoints = check.affects;
	result.time = new Date().toISOString();
	if (output !== undefined) {
		result.output = output;
		console.error(`health: ${check.name}: ${status}: ${output}`);
	}
	return result;
}

// ---- The whole ----

function answerOf(config, checks) {
	let status = "pass";
	for (const [check, result] of checks) {
		if (result.status === "fail" && !check.optional)
			status = "fail";
		else if (result.status !== "pass" && status === "pass")
			status = "warn";
	}
	const body = { status, ...config.about, checks: {} };
	for (const [check, result] of checks)
		body.checks[`${check.name}:responseTime`] = [result];
	return { statusCode: status === "fail" ? 503 : 200, body: JSON.stringify(body) };
}

function broken(config) {
	const body = { status: "fail", ...config.about, checks: { configuration: [{
		componentId: "configuration", componentType: "component", status: "fail",
		time: new Date().toISOString(), output: config.problems.join("; "),
	}] } };
	return { statusCode: 503, body: JSON.stringify(body) };
}

async function examine(config, context) {
	const left = context?.getRemainingTimeInMillis?.() ?? Infinity;
	const deadline = performance.now() + Math.min(config.totalMs, left - RESERVE_MS);
	return answerOf(config, await Promise.all(config.checks.map(async (check) =>
		[check, await look(check, config, deadline)])));
}

let configured, last;

// An environment that Lambda froze may have missed time by the one clock, and the other may be set: both must agree.
function isFresh(kept, cacheMs) {
	const ages = [performance.now() - kept.ended, Date.now() - kept.endedAt];
	return ages.every((age) => age >= 0 && age < cacheMs);
}

// Who asks while pings are under way waits for those; who asks soon enough afterwards gets what they said.
function examined(config, context) {
	if (last && (last.ended === undefined || isFresh(last, config.cacheMs)))
		return last.answer;
	const mine = { answer: examine(config, context) };
	const ended = () => {
		mine.ended = performance.now();
		mine.endedAt = Date.now();
	};
	last = mine;
	mine.answer.then(ended, ended);
	return mine.answer;
}

function hasToken(config, event) {
	const digest = (text) => createHash("sha256").update(text).digest();
	const found = Object.entries(event?.headers ?? {})
		.find(([name]) => name.toLowerCase() === "x-health-token");
	return config.token === undefined || timingSafeEqual(digest(String(found?.[1] ?? "")), digest(config.token));
}

function reply(statusCode, type, body, more) {
	return {
		statusCode, headers: { "content-type": type, "cache-control": "no-store", ...more }, body,
		isBase64Encoded: false,
	};
}

// A REST API's event (and payload format 1.0) has its method at the top, an HTTP API's 2.0 in requestContext.http.
export async function handler(event, context) {
	const method = event?.httpMethod || event?.requestContext?.http?.method || "GET";
	const say = (statusCode, type, body, more) => reply(statusCode, type, method === "HEAD" ? "" : body, more);
	configured ??= configure(process.env);
	const config = await configured;

	if (method !== "GET" && method !== "HEAD")
		return say(405, "application/json", '{"message":"only GET and HEAD"}', { allow: "GET, HEAD" });
	if (!hasToken(config, event))
		return say(401, "application/json", '{"message":"x-health-token is missing or wrong"}');
	const answer = config.problems.length > 0 ? broken(config) : await examined(config, context);
	return say(answer.statusCode, "application/health+json", answer.body);
}
