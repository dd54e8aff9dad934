// The libraries that Python shares with Node.js by name, and must not share in fact.

/** Their versions, as the running code says; null where the module cannot be imported. */
export interface Libraries {
  readonly openssl: string | null;
  readonly zlib: string | null;
  readonly sqlite: string | null;
}

/** Python that defines `libraries()`, which gives `Libraries` as JSON. */
export const librariesScript: string = `
def libraries():
    import importlib, json
    found = {}
    for name, module, attribute in [("openssl", "ssl", "OPENSSL_VERSION"),
                                    ("zlib", "zlib", "ZLIB_RUNTIME_VERSION"),
                                    ("sqlite", "sqlite3", "sqlite_version")]:
        try:
            found[name] = getattr(importlib.import_module(module), attribute)
        except ImportError:
            found[name] = None
    return json.dumps(found)
`;
