/** The compiled module as bytes: its sections, and its exported constants. */

import { readFileSync } from 'node:fs';

interface WasmModuleApi {
  Module: {
    new (bytes: Uint8Array): object;
    exports(module: object): { name: string; kind: string }[];
  };
  Memory: new (descriptor: { initial: number; maximum: number; shared: true }) => object;
  Instance: new (
    module: object,
    imports: { env: { memory: object } },
  ) => { exports: Record<string, unknown> };
}

const api = (globalThis as unknown as { WebAssembly: WasmModuleApi }).WebAssembly;

export const wasmBytes = readFileSync(new URL('../../assembly/crucible.wasm', import.meta.url));

/** Ids of the binary's sections, in order. */
export function sectionIds(bytes: Uint8Array): number[] {
  const ids: number[] = [];
  // Past the magic and the version: a section is an id, a LEB128 size and so many bytes.
  for (let at = 8; at < bytes.length; ) {
    ids.push(bytes[at++]!);
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      size += (byte & 127) * 2 ** shift;
      if (byte < 128) break;
    }
    at += size;
  }
  return ids;
}

/** The module's exported globals, by name. */
export function exportedConstants(): Map<string, number> {
  const module = new api.Module(wasmBytes);
  const memory = new api.Memory({ initial: 1, maximum: 1, shared: true });
  const { exports } = new api.Instance(module, { env: { memory } });
  const constants = new Map<string, number>();
  for (const { name, kind } of api.Module.exports(module)) {
    if (kind === 'global') constants.set(name, (exports[name] as { value: number }).value);
  }
  return constants;
}
