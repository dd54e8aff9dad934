// What an interpreter is asked about itself. It must run on any Python 3, so that an old one can be named.

/** What the answer's line begins with: a `.pth` file or a sitecustomize may print as well. */
export const probeMark: string = "coloop-probe:";

/**
 * Python that prints one line of JSON. libpython is looked for in the interpreter's own memory map first,
 * then where its build says that it was installed (Debian adds the multiarch folder). libpython3.so is
 * only the stable ABI's forwarder, hence the digits after the dot.
 */
export const probeScript: string = `
import json, os, re, sys, sysconfig
def get(name):
    return sysconfig.get_config_var(name) or ""
looked_for = []
def library():
    try:
        with open("/proc/self/maps") as maps:
            for line in maps:
                path = line.split(None, 5)[5].strip() if line.count("/") else ""
                if re.match(r"libpython3\\.\\d+[a-z]*\\.so", os.path.basename(path)):
                    return path
        looked_for.append("its own memory map")
    except (OSError, IndexError):
        pass
    names = []
    for variable in ("INSTSONAME", "LDLIBRARY"):
        name = get(variable)
        if name and not name.endswith(".a") and name not in names:
            names.append(name)
    folders = [get("LIBDIR"), os.path.join(get("LIBDIR"), get("MULTIARCH")),
               os.path.join(sys.base_prefix, "lib"), os.path.join(sys.base_prefix, "lib64"),
               get("LIBPL"), get("PYTHONFRAMEWORKPREFIX")]
    for folder in folders:
        for name in names:
            path = os.path.join(folder, name)
            if not folder or path in looked_for:
                continue
            looked_for.append(path)
            if os.path.isfile(path):
                return path
    if not names:
        looked_for.append("a name for it in its build's settings (Py_ENABLE_SHARED is 0)")
    return None
found = library()
print("\\n${probeMark}" + json.dumps({
    "implementation": getattr(getattr(sys, "implementation", None), "name", "unknown"),
    "version": list(sys.version_info[:3]),
    "executable": sys.executable or "",
    "prefix": sys.prefix,
    "basePrefix": getattr(sys, "base_prefix", sys.prefix),
    "include": sysconfig.get_paths().get("include", ""),
    "soabi": get("SOABI"),
    "library": found,
    "lookedFor": looked_for,
    "gilDisabled": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "debug": bool(sysconfig.get_config_var("Py_DEBUG")),
}))
`;

/** The answer. */
export interface Probe {
  readonly implementation: string;
  readonly version: readonly [major: number, minor: number, micro: number];
  readonly executable: string;
  readonly prefix: string;
  readonly basePrefix: string;
  readonly include: string;
  readonly soabi: string;
  readonly library: string | null;
  readonly lookedFor: readonly string[];
  readonly gilDisabled: boolean;
  readonly debug: boolean;
}

/** The answer in what an interpreter printed; undefined if it is none. */
export function readProbe(output: string): Probe | undefined {
  const line = output.split("\n").find((text) => text.startsWith(probeMark));
  if (line === undefined) return undefined;
  try {
    return JSON.parse(line.slice(probeMark.length)) as Probe;
  } catch {
    return undefined;
  }
}
