import type { Trtexec } from '../../runtime/tensorrt/tool.ts';
import type { Feeds } from '../../runtime/types.ts';
import type { Machine } from '../measure/machine.ts';
import type { Scratch } from '../scratch.ts';
import type { Subject } from '../subject.ts';
import type { Hooks } from '../types.ts';
import type { VersionMaker } from '../search/version-maker.ts';

/** What comparing engines works with. */
export interface EngineTools {
  readonly subject: Subject;
  readonly trtexec: Trtexec;
  readonly maker: VersionMaker;
  /** One sample: for timing, and for the shapes that engines are built for. */
  readonly feeds: Feeds;
  readonly minTimeSeconds: number;
  readonly machine: Machine;
  readonly scratch: Scratch;
  readonly hooks: Hooks;
}
