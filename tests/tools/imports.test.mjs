import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { shortenImports } from "./imports.mjs";
import { IMPORTS, text, vector, wasmOf } from "./wasm.mjs";

const TYPES = 1;

test("what is imported is called the same in the wasm and beside it", () => {
  const folder = mkdtempSync(join(tmpdir(), "imports-"));
  const [path, script] = ["index_bg.wasm", "index.js"].map((name) => join(folder, name));
  const names = ["__wbg_get_0123456789abcdef", "__wbg_get_fedcba9876543210", "__wbindgen_rethrow"];
  const imported = names.map((name) => Buffer.concat([text("./index.js"), text(name), Buffer.from([0, 0])]));
  writeFileSync(path, wasmOf([
    { id: TYPES, bytes: vector([Buffer.from([0x60, 0, 0])]) },
    { id: IMPORTS, bytes: vector(imported) },
  ]));
  writeFileSync(script, `({${names.map((name, at) => `${name}:()=>called(${at})`)},__wbg_unused_0123456789abcdef:0})`);
  shortenImports(path, script);

  const wanted = WebAssembly.Module.imports(new WebAssembly.Module(readFileSync(path)));
  assert.deepEqual(wanted.map(({ name }) => name), ["i0", "i1", "__wbindgen_rethrow"]);
  const written = readFileSync(script, "utf8");
  assert.equal(written, "({i0:()=>called(0),i1:()=>called(1),__wbindgen_rethrow:()=>called(2),__wbg_unused_0123456789abcdef:0})");
  rmSync(folder, { recursive: true });
});
