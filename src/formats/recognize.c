/* SPDX-License-Identifier: Apache-2.0
 * See recognize.h. What is asked for by mistake, or left behind by a download that went wrong, told by its first bytes. */
#include "formats/recognize.h"

#include <string.h>
#include <strings.h>

typedef struct kind {
    size_t at;
    const char *begins; /* case ignored */
    const char *is, *hint;
} kind;

#define AGAIN "fetch the real file: git lfs pull, or download it again"

static const kind kinds[] = {
    { 0, "version https://git-lfs", "a pointer of Git LFS", AGAIN },
    { 0, "<!doctype", "a web page", "the download went wrong; get the file again" },
    { 0, "<html", "a web page", "the download went wrong; get the file again" },
    { 0, "GGUF", "a GGUF file", "give the file itself as MODEL" },
    { 0, "GGML", "a GGML file, the form before GGUF", "convert the model again, to GGUF" },
    { 0, "ggjt", "a GGML file, the form before GGUF", "convert the model again, to GGUF" },
    { 0, "tjgg", "a GGML file, the form before GGUF", "convert the model again, to GGUF" },
    { 0, "lmgg", "a GGML file, the form before GGUF", "convert the model again, to GGUF" },
    { 0, "PK\3\4", "a zip archive, perhaps PyTorch's", "give the folder that has config.json and the weights" },
    { 0, "\x80\2", "a Python pickle", "of PyTorch's files those of torch.save are read, in a folder with config.json" },
    { 257, "ustar", "a tar archive", "NeMo's archives are read, called FILE.nemo; unpack others" },
    { 0, "\x1f\x8b", "a compressed file (gzip)", "unpack it: tar -xzf FILE -C FOLDER, and give the folder" },
    { 8, "{\"", "a safetensors file", "give the folder that has config.json and the weights" },
};

fj_status fj_wrong_file(const char *name, const void *data, size_t len, const char *wanted, fj_err *err)
{
    if (!len)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: not %s: the file is empty", name, wanted);
    for (size_t i = 0; i < FJ_LEN(kinds); i++) {
        size_t n = strlen(kinds[i].begins);
        if (len < kinds[i].at + n || strncasecmp((const char *)data + kinds[i].at, kinds[i].begins, n))
            continue;
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: not %s: %s", name, wanted, kinds[i].is);
        return fj_hint(err, "%s", kinds[i].hint);
    }
    return fj_fail(err, FJ_ERR_FORMAT, "%s: not %s", name, wanted);
}
