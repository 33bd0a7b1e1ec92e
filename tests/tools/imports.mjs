// Gives what a wasm imports short names, in it and in the script beside it.

import { readFileSync, writeFileSync } from "node:fs";
import { IMPORTS, importsOf, sectionsOf, text, vector, wasmOf } from "./wasm.mjs";

/** wasm-bindgen ends a name with a hash, which nothing shortens when it is zipped; and each stands there twice. */
const HASHED = /\b__wbg_\w+_[0-9a-f]{16}\b/g;

/** Renames the imports of the wasm at `path` and the functions of the `script` that are imported. */
export function shortenImports(path, script) {
  const sections = sectionsOf(readFileSync(path));
  const imports = sections.find(({ id }) => id === IMPORTS);
  const all = importsOf(imports.bytes);
  const short = new Map(all.filter(({ name }) => name.match(HASHED)?.[0] === name).map(({ name }, at) => [name, `i${at}`]));
  imports.bytes = vector(
    all.map(({ module, name, what }) => Buffer.concat([text(module), text(short.get(name) ?? name), what])),
  );
  writeFileSync(path, wasmOf(sections));
  writeFileSync(script, readFileSync(script, "utf8").replace(HASHED, (name) => short.get(name) ?? name));
}
