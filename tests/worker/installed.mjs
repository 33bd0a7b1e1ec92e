// Packages that a test wants and the project does not: installed once, at a pinned version, into a folder of their own.

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const CACHE = fileURLToPath(new URL("../../.cache/", import.meta.url));

/**
 * A function that imports from these npm packages (`{name: version}`), which stand in `.cache/npm/<folder>`; an `Error` where
 * they cannot be had.
 */
export async function npmPackages(folder, packages) {
  const home = join(CACHE, "npm", folder);
  const wanted = JSON.stringify({ private: true, dependencies: packages });
  const ready = join(home, `ready-${Buffer.from(wanted).toString("base64url").slice(-40)}`);
  try {
    if (!existsSync(ready)) {
      mkdirSync(home, { recursive: true });
      writeFileSync(join(home, "package.json"), wanted);
      const npm = join(dirname(process.execPath), "npm");
      const options = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--legacy-peer-deps"];
      await run(existsSync(npm) ? npm : "npm", options, { cwd: home, timeout: 120_000 });
      writeFileSync(ready, "");
    }
    const require = createRequire(join(home, "package.json"));
    return (name) => import(pathToFileURL(require.resolve(name)).href);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** A Python with these packages (`name==version`) in `.cache/python/<folder>`; an `Error` where there is none. */
export async function pythonPackages(folder, packages) {
  const home = join(CACHE, "python", folder);
  const python = join(home, "bin", "python");
  const ready = join(home, `ready-${Buffer.from(packages.join(" ")).toString("base64url").slice(-40)}`);
  try {
    if (!existsSync(ready)) {
      await run("python3", ["-m", "venv", home]);
      await run(python, ["-m", "pip", "install", "--quiet", ...packages], { timeout: 150_000 });
      writeFileSync(ready, "");
    }
    return python;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** What a skipped test says. */
export function skipped(error) {
  return `SKIPPED: ${error.message.split("\n")[0]}`;
}
