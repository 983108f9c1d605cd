/**
 * Compiles assembly/ and puts the module where it is published (a file) and where it is loaded from (generated/wasm.ts).
 * With --debug it has names and assertions.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import asc from 'assemblyscript/asc';

/** Said when a further round of optimisation did not help and the one before is kept, which is as it should be. */
const EXPECTED = 'Last converge was suboptimal.';

const written = [];
const stderr = { write: (chunk) => written.push(String(chunk)) };
const target = process.argv.includes('--debug') ? 'debug' : 'release';
const { error } = await asc.main(['assembly/index.ts', '--target', target], { stderr });
const said = written.join('').replace(EXPECTED, '').trim();
if (said !== '') console.error(said);
if (error !== null) process.exit(1);

const file = target === 'debug' ? 'assembly/crucible.debug.wasm' : 'assembly/crucible.wasm';
mkdirSync('dist/assembly', { recursive: true });
copyFileSync(file, 'dist/assembly/crucible.wasm');

// As text in a module, since bundlers carry modules along and leave files behind.
const base64 = readFileSync(file).toString('base64');
mkdirSync('generated', { recursive: true });
writeFileSync('generated/wasm.ts', `export const WASM_BASE64: string =\n  '${base64}';\n`);
