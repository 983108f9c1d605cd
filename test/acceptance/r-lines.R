# Runs the expressions of a file, one after the other, and prints a line for each, with tabs between: how it went
# ("ok", "missing" or "error"), how many rows its value has or what went wrong, and its source.
path <- commandArgs(trailingOnly = TRUE)[1]
expressions <- parse(path, keep.source = TRUE, encoding = "UTF-8")
sources <- sapply(attr(expressions, "srcref"), function(each) paste(as.character(each), collapse = " "))
tell <- function(how, what, source) cat(how, what, source, sep = "\t", fill = FALSE, labels = NULL)
for (i in seq_along(expressions)) {
  outcome <- tryCatch({
    value <- suppressMessages(suppressWarnings(eval(expressions[[i]], globalenv())))
    c("ok", if (is.data.frame(value)) nrow(value) else length(value))
  }, error = function(error) {
    message <- gsub("[\r\n\t]", " ", conditionMessage(error))
    absent <- regmatches(message, regexpr("(?<=no package called .)[[:alnum:].]+", message, perl = TRUE))
    if (length(absent) > 0) c("missing", absent) else c("error", message)
  })
  cat("\n", paste(c("told", outcome, sources[i]), collapse = "\t"), "\n", sep = "")
}
