/** Compiles assembly/ and puts the module where it is published (a file) and where it is loaded from (generated/wasm.ts). */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import asc from 'assemblyscript/asc';

/** Said when a further round of optimisation did not help and the one before is kept, which is as it should be. */
const EXPECTED = 'Last converge was suboptimal.';

const written = [];
const stderr = { write: (chunk) => written.push(String(chunk)) };
const { error } = await asc.main(['assembly/index.ts', '--target', 'release'], { stderr });
const said = written.join('').replace(EXPECTED, '').trim();
if (said !== '') console.error(said);
if (error !== null) process.exit(1);

mkdirSync('dist/assembly', { recursive: true });
copyFileSync('assembly/crucible.wasm', 'dist/assembly/crucible.wasm');

// As text in a module, since bundlers carry modules along and leave files behind.
const base64 = readFileSync('assembly/crucible.wasm').toString('base64');
mkdirSync('generated', { recursive: true });
writeFileSync('generated/wasm.ts', `export const WASM_BASE64: string =\n  '${base64}';\n`);
