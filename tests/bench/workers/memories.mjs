// Sees every wasm instance that is made after this module was imported.

const memories = [];

WebAssembly.Instance = class extends WebAssembly.Instance {
  constructor(module, imports) {
    super(module, imports);
    if (this.exports.memory !== undefined) memories.push(this.exports.memory);
  }
};

/** The bytes of all wasm memory in this isolate. */
export function wasmBytes() {
  return memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
}
