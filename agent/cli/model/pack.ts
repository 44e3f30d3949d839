import { Command } from 'commander';
import type { Gates } from '../../contracts/manifest.ts';
import type { PackReport } from '../../contracts/pack.ts';
import { bytesText, counted } from '../../fit/report/words.ts';
import type { CliContext } from '../context.ts';
import {
  addInputOptions,
  readAudio,
  readImage,
  readSamples,
  type SampleOptions,
} from '../options.ts';
import { widthOf, writeJson } from '../output.ts';
import { UsageError } from '../errors.ts';
import { numberWithin } from '../parsers.ts';
import { createProgress } from '../progress.ts';
import { hang, plain } from '../text.ts';

interface PackOptions extends SampleOptions {
  readonly output: string;
  readonly packageVersion?: string;
  readonly name?: string;
  readonly labels?: string;
  readonly variant?: readonly string[];
  /** Undefined: where the compiler is there. */
  readonly edgetpu?: boolean;
  readonly force?: boolean;
  readonly maxAccuracyDrop?: number;
  readonly minSqnr?: number;
  readonly maxP90Ms?: number;
  readonly maxRssMb?: number;
  readonly json?: boolean;
}

const EXAMPLES = `
The package is a folder of plain files with a manifest.json that holds the
length and sha256 of each. It takes the place of MODEL in every command:
  agent bench DIR        agent fit DIR -o fitted/

What goes in: the model as it is, files that are ready to run (--variant), the
samples that the manifest names and no others, labels, and gates: limits that a
version must keep on the device, unless the command line there says otherwise.

Edge TPU: where edgetpu_compiler (x86-64 only) is on the PATH, a TFLite model
is made integer-only with the calibration samples and compiled. The package
gets both files: the compiled one is used on a device with a Coral, the other
one anywhere. With --edgetpu a failure ends the command, else it is a warning.

Examples:
  agent model pack package.json -o dist/face --package-version 1.2.0
  agent model pack model.tflite -o dist/face --package-version 1.2.0 \\
    --samples photos/ --image-size 96x96 --mean 128 --std 128 --edgetpu
  agent model pack package.json -o dist/face --variant face_int8.tflite \\
    --max-accuracy-drop 0.5 --max-p90-ms 20 --json

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

/** `agent model pack MODEL -o DIR`. */
export function packCommand(context: CliContext): Command {
  const command = new Command('pack')
    .summary('make a package: model, variants, samples, gates')
    .description('Makes a self-contained package folder of MODEL.')
    .argument('<model>', 'float model file or package manifest')
    .requiredOption('-o, --output <dir>', 'the folder to make')
    .option('--package-version <version>', "of the package (default: the manifest's)")
    .option('--name <name>', "of the package (default: the manifest's, or the file's)");
  addInputOptions(command)
    .option('--labels <file>', 'names of the classes, one a line')
    .option('--variant <file>', 'a version that is ready to run; may be given again', append)
    .option('--edgetpu', 'compile for the Edge TPU, and fail where that cannot be done')
    .option('--no-edgetpu', 'do not compile, though the compiler is there')
    .option(
      '--max-accuracy-drop <points>',
      'gate: points of the task metric that may be lost',
      numberWithin({ min: 0, max: 100 }),
    )
    .option(
      '--min-sqnr <dB>',
      'gate: lowest SQNR against the float model',
      numberWithin({ min: -100, max: 200 }),
    )
    .option('--max-p90-ms <ms>', 'gate: 90th percentile of the latency', numberWithin({ above: 0 }))
    .option('--max-rss-mb <MB>', 'gate: peak memory while it runs', numberWithin({ above: 0 }))
    .option('--force', 'replace the folder if it holds a package')
    .option('--json', 'print what is in the package as JSON (edgefit/pack/1)');
  return command
    .addHelpText('after', EXAMPLES)
    .action(async (model: string, options: PackOptions) => {
      const report = await pack(model, options, context);
      const { io } = context;
      if (options.json === true) writeJson(io, report);
      else io.stdout.write(renderPack(report, widthOf(io.stdout, io.env)));
    });
}

function append(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

async function pack(
  modelPath: string,
  options: PackOptions,
  { io, signal, loadFit }: CliContext,
): Promise<PackReport> {
  const samples = readSamples(options);
  if (samples.command !== undefined) {
    throw new UsageError('--samples-command captures on a device: a package takes --samples');
  }
  const inputs = { samples, image: readImage(options), audio: readAudio(options) };
  const [{ packModel }, { findCompiler }, { copySubset }, fit, source] = await Promise.all([
    import('../../deploy/pack/pack.ts'),
    import('../../deploy/pack/compiler.ts'),
    import('../../calibration/samples/subset.ts'),
    loadFit(),
    import('../../fit/pack-source.ts'),
  ]);
  const progress = createProgress(io.stderr);
  const hooks = { signal, progress: progress.report };
  const work = async () => {
    const variants = options.variant ?? [];
    const contents = await source.openForPack({ modelPath, ...inputs, variants }, hooks);
    const request = {
      source: contents,
      output: options.output,
      name: options.name,
      version: options.packageVersion,
      gates: readGates(options),
      labels: options.labels,
      replace: options.force === true,
      edgeTpu: {
        wanted: options.edgetpu === undefined ? 'auto' : options.edgetpu ? 'yes' : 'no',
        program: await findCompiler(io.env['PATH']),
      },
    } as const;
    const tools = {
      copySamples: copySubset,
      describe: source.describeVariant,
      makeIntegerOnly: async (output: string) => {
        const asked = { modelPath, ...inputs, scheme: 'int8-only', ranges: [], output } as const;
        const { warnings = [] } = await fit.quantizeModel(asked, hooks);
        return { warnings };
      },
    };
    return packModel(request, tools, hooks);
  };
  return work().finally(progress.clear);
}

function readGates({ maxAccuracyDrop, minSqnr, maxP90Ms, maxRssMb }: PackOptions): Gates {
  return {
    ...(maxAccuracyDrop === undefined ? {} : { maxAccuracyDrop }),
    ...(minSqnr === undefined ? {} : { minSqnrDb: minSqnr }),
    ...(maxP90Ms === undefined ? {} : { maxP90Ms }),
    ...(maxRssMb === undefined ? {} : { maxRssBytes: maxRssMb * 1e6 }),
  };
}

const countText = (n: number | null) => (n === null ? 'none' : String(n));

/** What is in the package, for people. */
export function renderPack(report: PackReport, width: number): string {
  const { output, name, version, bytes, files, variants, samples, warnings, sha256 } = report;
  const lines = [
    ...hang('Packed    ', `${plain(name)} ${version}: ${output}`, width),
    `Size      ${bytesText(bytes)} in ${counted(files.length + 1, 'file')}`,
    `Manifest  ${report.manifest}, sha256 ${sha256}`,
    `Samples   ${countText(samples.calibration)} for calibration, ${countText(samples.evaluation)} for evaluation`,
    ...variants.flatMap(({ path, precision, runtime, accelerators = [], ops }, at) => {
      const where = accelerators.length === 0 ? 'CPU' : accelerators.join(' or ');
      const parts =
        ops === undefined
          ? ''
          : `; ${ops.accelerator} operators there, ${ops.cpu} left for the CPU`;
      const text = `${path}: ${precision}, ${runtime}, ${where}${parts}`;
      return hang((at === 0 ? 'Variants' : '').padEnd(10), text, width);
    }),
    ...compilerLines(report, width),
    ...warnings.flatMap((text) => hang('Warning   ', plain(text), width)),
  ];
  return `${lines.join('\n')}\n`;
}

function compilerLines({ compiler }: PackReport, width: number): readonly string[] {
  if (compiler === undefined) return [];
  const { version, onChipBytes, offChipBytes, operators, seconds } = compiler;
  const memory = [
    onChipBytes === null ? '' : `${bytesText(onChipBytes)} of parameters on the chip`,
    offChipBytes === null ? '' : `${bytesText(offChipBytes)} off it`,
  ].filter((text) => text !== '');
  const head = [`edgetpu_compiler ${version ?? ''}`.trim(), ...memory, `${seconds.toFixed(1)} s`];
  const left = operators
    .filter(({ status }) => !status.startsWith('Mapped'))
    .map(({ op, count, status }) => `${count} ${op}: ${status}`);
  return [
    ...hang('Compiler  ', plain(head.join(', ')), width),
    ...left.flatMap((text, at) => hang((at === 0 ? 'On CPU' : '').padEnd(10), plain(text), width)),
  ];
}
