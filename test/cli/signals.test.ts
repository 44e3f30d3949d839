import { EventEmitter } from 'node:events';
import { expect, test } from '@jest/globals';
import { abortOnSignals } from '../../agent/cli/signals.ts';

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'])(
  '%s aborts, a second signal ends the process',
  (name) => {
    const exits: number[] = [];
    const target = Object.assign(new EventEmitter(), { exit: (code: number) => exits.push(code) });
    const signal = abortOnSignals(target);
    expect(signal.aborted).toBe(false);
    target.emit(name);
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toMatchObject({ kind: 'failure', message: `interrupted by ${name}` });
    expect(exits).toEqual([]);
    target.emit('SIGINT');
    expect(exits).toEqual([1]);
  },
);
