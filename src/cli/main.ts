#!/usr/bin/env node

/** The `crucible` binary. */

import { VERSION } from '../version.js';
import { commands } from './commands/index.js';
import { loadLibrary } from './library.js';
import { runProcess } from './process.js';

// What was lost is in the commands' own reports.
const [print] = process.listeners('warning');
if (print !== undefined) {
  process.off('warning', print);
  process.on('warning', (warning: NodeJS.ErrnoException) => {
    if (!warning.code?.startsWith('CRUCIBLE_')) print(warning);
  });
}

await runProcess(process, commands, VERSION, loadLibrary);
