#!/usr/bin/env node

/** The `crucible` binary. */

import { VERSION } from '../version.js';
import { commands } from './commands/index.js';
import { loadLibrary } from './library.js';
import { runProcess } from './process.js';

await runProcess(process, commands, VERSION, loadLibrary);
