// Writes `zones.txt`: every named time zone with the rule that holds from now on, as POSIX writes it.
//
//     node src/budget/data/generate.mjs [/usr/share/zoneinfo] > src/budget/data/zones.txt
//
// Budgets only ever ask for windows around now, so the history that zone files are full of is left out. A rule is the
// last line of a version 2 file (RFC 9636, section 3.3). A line of the output is a rule, a tab, and the names that share
// it, sorted.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";

const root = process.argv[2] ?? "/usr/share/zoneinfo";
const rules = new Map();

function visit(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (["posix", "right"].includes(name)) continue;
    if (statSync(path).isDirectory()) visit(path);
    else take(path);
  }
}

function take(path) {
  const file = readFileSync(path);
  if (file.subarray(0, 4).toString() !== "TZif") return;
  const name = relative(root, path);
  if (["localtime", "posixrules", "Factory"].includes(name)) return;
  const rule = file.toString("latin1").trimEnd().split("\n").at(-1);
  rules.set(rule, [...(rules.get(rule) ?? []), name]);
}

visit(root);
const lines = [...rules].map(([rule, names]) => `${rule}\t${names.sort().join(" ")}`).sort();
process.stdout.write(`${lines.join("\n")}\n`);
