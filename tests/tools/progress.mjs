// Running the steps of a command: what is happening, for how long, and what went wrong.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The repository's folder, where every command runs. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** How often a silent step says that it is still at work. */
const HEARTBEAT_MS = 15_000;

/** How much of a failed step's output is worth showing. */
const TAIL_LINES = 60;

/** A fault the user can act on: printed without a stack trace. */
export class Stop extends Error {}

/** Runs `work`, and says before what it does and after how long it took. */
export async function step(title, work) {
  const started = Date.now();
  console.log(`→ ${title}`);
  const result = await work();
  console.log(`  done in ${elapsed(started)}`);
  return result;
}

/**
 * Runs a program to its end and gives its standard output.
 *
 * With `show` the program writes to this terminal itself. Otherwise its output is kept, a line now and
 * then tells that it still runs, and the end of the output is shown if it fails.
 */
export async function run(program, args, { env = {}, show = false, label = program } = {}) {
  const started = Date.now();
  const child = spawn(program, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: show ? "inherit" : ["ignore", "pipe", "pipe"],
  });
  const kept = { output: "", all: "" };
  child.stdout?.setEncoding("utf8").on("data", (text) => {
    kept.output += text;
    kept.all += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text) => (kept.all += text));
  const heartbeat = show ? undefined : setInterval(() => console.log(stillRunning(label, started, kept.all)), HEARTBEAT_MS);

  const { code, error } = await ended(child);
  clearInterval(heartbeat);
  if (code === 0) return kept.output;
  const tail = kept.all.trimEnd().split("\n").slice(-TAIL_LINES).join("\n");
  if (tail) console.error(tail);
  throw new Stop(error ? `${label} could not be started: ${error.message}` : `${label} failed (exit code ${code})`);
}

/** What `program` prints, or `undefined` where it is missing or fails: for looking whether something is there. */
export async function probe(program, args) {
  const child = spawn(program, args, { cwd: ROOT, stdio: ["ignore", "pipe", "ignore"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (output += text));
  const { code } = await ended(child);
  return code === 0 ? output.trim() : undefined;
}

/** Runs a command's `main`: a `Stop` becomes one line and exit code 1. */
export async function command(main) {
  try {
    await main();
  } catch (error) {
    console.error(`\n✗ ${error instanceof Stop ? error.message : error.stack}`);
    process.exitCode = 1;
  }
}

/** Whether the file at `url` is the program being run, not a module of another one. */
export function isProgram(url) {
  return process.argv[1] === fileURLToPath(url);
}

/** Time since `started` for people: `3.2 s`, `4 min 05 s`. */
export function elapsed(started) {
  const seconds = (Date.now() - started) / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}

function stillRunning(label, started, output) {
  const crates = output.match(/^\s+Compiling /gm)?.length;
  const detail = crates ? `, ${crates} crates so far` : "";
  return `  … ${label} is at work (${elapsed(started)}${detail})`;
}

function ended(child) {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ error }));
    child.once("close", (code, signal) => resolve({ code: code ?? signal }));
  });
}
