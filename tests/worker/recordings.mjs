// Recorded exchanges with real providers: the few of the repository, and the whole corpus where it lies beside it.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const FIXTURES = fileURLToPath(new URL("../fixtures/", import.meta.url));
const CORPUS = fileURLToPath(new URL("../../../shared/wire/", import.meta.url));

/** Every recording of a provider, those of the repository first, each once. */
export function recordings(provider) {
  const found = new Map();
  for (const folder of [join(FIXTURES, provider), join(CORPUS, provider)]) {
    for (const recording of readAll(folder)) if (!found.has(recording.id)) found.set(recording.id, recording);
  }
  return [...found.values()];
}

/** The recorded talks with a provider: what both sides said, in order. */
export function talksOf(provider) {
  const folder = join(FIXTURES, provider);
  const names = readdirSync(folder).filter((name) => name.startsWith(`${provider}.realtime.`));
  return names.map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")));
}

/** Whether the corpus is there; where it is not, only the repository's own recordings are tried. */
export function corpusPresent() {
  return existsSync(CORPUS);
}

function readAll(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")))
    .filter(({ id, response }) => id !== undefined && response !== undefined);
}
