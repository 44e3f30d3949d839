import { describe, expect, test } from '@jest/globals';
import type { Facts } from '../../../agent/contracts/facts.ts';
import { plan } from '../../../agent/fit/candidates/plan.ts';
import type { PlanProfile } from '../../../agent/fit/types.ts';
import { loadProfiles } from '../../../agent/hardware/profiles.ts';
import { cpu, request, summary } from '../fixtures.ts';

const profiles = new Map((await loadProfiles()).map((one) => [one.id, one]));
const profileOf = (id: string): PlanProfile => {
  const found = profiles.get(id);
  if (found === undefined) throw new Error(`no profile ${id}`);
  return found;
};

const HERE = new Map();
const GPU: Facts['accelerators'] = [{ kind: 'nvidia-gpu', usable: true }];
const WITH_DLA: Facts['accelerators'] = [...GPU, { kind: 'nvidia-dla', usable: true }];

function planned(id: string, accelerators: Facts['accelerators'], asked = request()) {
  const facts = { ...cpu({ arch: 'arm64', features: [] }), accelerators };
  const wanted = { threads: [1], unusable: HERE, ...asked };
  return plan(summary(), facts, profileOf(id), wanted);
}

const engines = (made: ReturnType<typeof plan>) =>
  made.candidates.filter(({ runtime }) => runtime === 'tensorrt').map(({ id }) => id);

describe('engines to try', () => {
  test('a Nano: FP16 and float, and INT8 on the CPU only', () => {
    const made = planned('jetson-nano', GPU);
    expect(engines(made)).toEqual(['tensorrt/fp32/t1', 'tensorrt/fp16/t1']);
    expect(made.notTried).toContainEqual({
      precision: 'int8-static',
      why: 'the GPU has no INT8 arithmetic: INT8 runs slower there than FP16',
    });
  });

  test('an Orin with a DLA: FP16 and INT8 on the GPU and on the DLA', () => {
    expect(engines(planned('jetson-agx-orin', WITH_DLA))).toEqual([
      'tensorrt/fp32/t1',
      'tensorrt/fp16/t1',
      'tensorrt/int8-static/t1',
      'tensorrt/fp16-dla/t1',
      'tensorrt/int8-static-dla/t1',
    ]);
  });

  test('a DLA that cannot be used is left out', () => {
    const dead: Facts['accelerators'] = [...GPU, { kind: 'nvidia-dla', usable: false }];
    expect(engines(planned('jetson-agx-orin', dead))).toHaveLength(3);
  });

  test('INT8 is symmetric, in all 8 bits, whatever the profile says', () => {
    const made = planned('jetson-agx-orin', GPU);
    const int8 = made.candidates.find(({ id }) => id === 'tensorrt/int8-static/t1');
    expect(int8?.scheme).toMatchObject({
      format: 'tensorrt',
      activations: 's8',
      weights: 's8',
      reduceRange: false,
    });
  });

  test('threads make no difference', () => {
    const made = planned('jetson-agx-orin', GPU, request({ threads: [1, 2, 4] }));
    expect(engines(made)).toEqual([
      'tensorrt/fp32/t1',
      'tensorrt/fp16/t1',
      'tensorrt/int8-static/t1',
    ]);
  });

  test('no dynamic INT8, also where it was asked for', () => {
    const made = planned('jetson-agx-orin', GPU, request({ precisions: ['int8-dynamic'] }));
    expect(engines(made)).toEqual(['tensorrt/fp32/t1']);
    expect(made.notTried).toContainEqual({
      precision: 'int8-dynamic',
      why: 'TensorRT has no dynamic quantization',
    });
  });

  test('a model that is quantized already is built as it is', () => {
    const facts = { ...cpu({ arch: 'arm64' }), accelerators: WITH_DLA };
    const quantized = summary({ alreadyQuantized: true, convertible: true, precision: 'int8' });
    const wanted = request({ unusable: HERE, threads: [1], runtimes: ['tensorrt'] });
    const made = plan(quantized, facts, profileOf('jetson-agx-orin'), wanted);
    expect(engines(made)).toEqual(['tensorrt/int8/t1']);
  });
});

describe('a Jetson without trtexec', () => {
  const unusable = new Map([['tensorrt', 'apt install nvidia-jetpack']] as const);

  test('goes on with the CPU, and says how to mend it', () => {
    const made = planned('jetson-agx-orin', GPU, request({ unusable }));
    expect(engines(made)).toEqual([]);
    expect(made.candidates[0]?.id).toBe('onnxruntime/fp32/t1');
    expect(made.notTried).toContainEqual({
      precision: 'runtime tensorrt',
      why: 'apt install nvidia-jetpack',
    });
  });

  test('is refused where nothing else was asked for', () => {
    const asked = request({ unusable, runtimes: ['tensorrt'] });
    expect(() => planned('jetson-agx-orin', GPU, asked)).toThrow(
      'tensorrt: apt install nvidia-jetpack',
    );
  });

  test('where nobody has looked, no engine is planned', () => {
    const made = planned('jetson-agx-orin', GPU, request({ unusable: undefined }));
    expect(engines(made)).toEqual([]);
  });
});
