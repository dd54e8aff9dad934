# For `npm rebuild --build-from-source` of an installed package. package.json sets "gypfile": false, so
# npm does not run this by itself; CMake does the work, so sources are listed once.
{
  "targets": [
    {
      "target_name": "coloop",
      "type": "none",
      "actions": [
        {
          "action_name": "build",
          "inputs": ["tools/build.mjs", "CMakeLists.txt"],
          "outputs": ["<(PRODUCT_DIR)/coloop.stamp"],
          "action": ["node", "tools/build.mjs"],
        }
      ],
    }
  ]
}
