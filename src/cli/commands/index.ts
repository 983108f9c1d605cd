/** The commands, in the order in which help shows them. */

import type { Command } from '../command.js';
import { archive } from './archive.js';
import { compact } from './compact.js';
import { compare } from './compare.js';
import { deleteCommand } from './delete.js';
import { demo } from './demo.js';
import { exportCommand } from './export.js';
import { gate } from './gate.js';
import { help } from './help.js';
import { importCommand } from './import.js';
import { list } from './list.js';
import { metrics } from './metrics.js';
import { plan } from './plan.js';
import { recover } from './recover.js';
import { report } from './report.js';
import { reprice } from './reprice.js';
import { score } from './score.js';
import { serve } from './serve.js';
import { show } from './show.js';
import { study } from './study.js';
import { watch } from './watch.js';
import { windows } from './windows.js';

export const commands: readonly Command[] = [
  demo,
  importCommand,
  list,
  show,
  metrics,
  windows,
  compare,
  report,
  watch,
  serve,
  score,
  plan,
  study,
  gate,
  exportCommand,
  recover,
  archive,
  reprice,
  compact,
  deleteCommand,
  help,
];
