/** The event bus: what is emitted, and who hears it. */

import { span } from './bus-span.js';
import { attach, detach, execute } from './channels.js';

export { HANDLER_FAILURE, type TelemetryHandler } from './channels.js';

export const telemetry = { execute, span, attach, detach };
