// The module is loaded by a path relative to src/ring, which must hold both for the sources and for dist/.
import { copyFileSync, mkdirSync } from 'node:fs';

mkdirSync('dist/assembly', { recursive: true });
copyFileSync('assembly/crucible.wasm', 'dist/assembly/crucible.wasm');
