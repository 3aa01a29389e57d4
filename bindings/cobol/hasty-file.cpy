      *> One file of a multipart body.
      *>   COPY "hasty-file.cpy" REPLACING ==:TAG:== BY ==name==.
      *> Generated from include/hasty.h by bindings/declare.py.
       01 :TAG:.
           05 :TAG:-size
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-name.
               10 :TAG:-name-data
                   USAGE POINTER VALUE NULL.
               10 :TAG:-name-len
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-filename.
               10 :TAG:-filename-data
                   USAGE POINTER VALUE NULL.
               10 :TAG:-filename-len
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-content-type.
               10 :TAG:-content-type-data
                   USAGE POINTER VALUE NULL.
               10 :TAG:-content-type-len
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-data.
               10 :TAG:-data-data
                   USAGE POINTER VALUE NULL.
               10 :TAG:-data-len
                   USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-path
               USAGE POINTER VALUE NULL.
           05 :TAG:-length
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
