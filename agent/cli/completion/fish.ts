import { flatten, type CommandNode, type OptionNode } from './tree.ts';

/** A fish completion for the program under each of these names. */
export function fishCompletion(tree: CommandNode, names: readonly string[]): string {
  const [name = '', ...others] = names;
  const nodes = flatten(tree);
  const paths = nodes.filter(({ path }) => path.length > 0).map(({ path }) => path.join(' '));
  return `# fish completion for ${names.join(' and ')}
function __edgefit_at
    set -l path
    for word in (commandline -opc)[2..-1]
        if contains -- (string join -- ' ' $path $word) ${paths.map(quoted).join(' ')}
            set -a path $word
        end
    end
    test "$path" = "$argv"
end
${nodes.flatMap((node) => lines(name, node)).join('\n')}
${others.map((other) => `complete -c ${other} -w ${name}`).join('\n')}
`;
}

function lines(name: string, node: CommandNode): string[] {
  const start = `complete -c ${name} -n ${quoted(['__edgefit_at', ...node.path].join(' '))}`;
  const commands = node.commands.map(
    ({ path, about }) => `${start} -f -a ${path.at(-1) ?? ''} -d ${quoted(about)}`,
  );
  const choices = node.choices.map((choice) => `${start} -f -a ${choice}`);
  return [...commands, ...choices, ...node.options.map((option) => `${start} ${flags(option)}`)];
}

function flags({ names, about, takesValue, choices }: OptionNode): string {
  const flag = names.map((name) =>
    name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
  );
  const values = choices.length === 0 ? [] : [`-x -a ${quoted(choices.join(' '))}`];
  const value = takesValue && choices.length === 0 ? ['-r'] : values;
  return [...flag, ...value, `-d ${quoted(about)}`].join(' ');
}

/** Inside single quotes fish knows \\ and \' only. */
function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}
