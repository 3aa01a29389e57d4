      *> A piece of text or bytes that belongs to somebody
      *> else.
      *>   COPY "hasty-str.cpy" REPLACING ==:TAG:== BY ==name==.
      *> Generated from include/hasty.h by bindings/declare.py.
       01 :TAG:.
           05 :TAG:-data
               USAGE POINTER VALUE NULL.
           05 :TAG:-len
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
