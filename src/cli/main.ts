#!/usr/bin/env node
/** The `crucible` binary. */

import { createRequire } from 'node:module';
import { commands } from './commands/index.js';
import { loadLibrary } from './library.js';
import { runProcess } from './process.js';

const { version } = createRequire(import.meta.url)('crucible-telemetry/package.json') as { version: string };

await runProcess(process, commands, version, loadLibrary);
