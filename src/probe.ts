// What an interpreter is asked about itself. It must run on any Python, so that an old one can be named.

/**
 * Python that prints one JSON object. libpython is looked for in the interpreter's own memory map first,
 * then where its build says that it was installed (Debian adds the multiarch folder).
 */
export const probeScript = `
import json, os, sys, sysconfig
def get(name):
    return sysconfig.get_config_var(name) or ""
looked_for = []
def library():
    try:
        with open("/proc/self/maps") as maps:
            for line in maps:
                path = line.split(None, 5)[5].strip() if line.count("/") else ""
                name = os.path.basename(path)
                if name.startswith("libpython3.") and ".so" in name:
                    return path
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
            looked_for.append(path)
            if folder and os.path.isfile(path):
                return path
    if not names:
        looked_for.append("its build has no shared library at all (Py_ENABLE_SHARED = 0)")
    return None
found = library()
print(json.dumps({
    "implementation": getattr(getattr(sys, "implementation", None), "name", "unknown"),
    "version": list(sys.version_info[:3]),
    "executable": sys.executable,
    "prefix": sys.prefix,
    "base_prefix": getattr(sys, "base_prefix", sys.prefix),
    "include": sysconfig.get_paths().get("include", ""),
    "library": found,
    "looked_for": looked_for,
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "debug": bool(sysconfig.get_config_var("Py_DEBUG")),
}))
`;
